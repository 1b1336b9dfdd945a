"""Numbers of somebody's own, as `rnnlm derive` reads them from a file."""

from __future__ import annotations

# One step of an Elman network with its three matrices.
ONE_STEP = """\
activation: {activation}
e: [1, 0.5]
h0: [0.1, 0.2]
I: [[0.1, 0.2], [0.3, 0.4]]
H: [[0.5, -0.6], [0.7, 0.8]]
b1: [0, 0.1]
U: [[1, -1, 0.5], [0.5, 0, 2]]
target: 2
"""
