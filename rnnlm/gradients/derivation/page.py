"""The page of the scalar derivation: the unrolled network, which computes again what is moved."""

from __future__ import annotations

import json
from pathlib import Path

from rnnlm.files import atomic as storage
from rnnlm.gradients.derivation.own_numbers import Own
from rnnlm.network.parameters import B2, TABLE, U

_PAGE = Path(__file__).with_name("page.html")


def write_html(own: Own, path: Path) -> None:
    """A page that needs nothing but itself: style, script and data are inside, and it may load nothing.

    Args:
        own: d = D_h = 1, one layer, with its loss at the last step.
    """
    network, window, names = own
    assert names is not None
    p = network.named
    data = {
        "activation": network.config.model.activation,
        "first": names.first,
        "input": names.input,
        "before": float(window.states[0][0, 0]),
        "inputs": [float(p[TABLE][token, 0]) for token in window.inputs[:, 0]],
        "w": float(p["cell.0.H"][0, 0]),
        "v": float(p["cell.0.I"][0, 0]),
        "b": float(p["cell.0.b1"][0]),
        "u": p[U][0].tolist(),
        "c": p[B2].tolist(),
        "target": int(window.targets[-1, 0]),
    }
    page = _PAGE.read_text(encoding="utf-8").replace("{{DATA}}", json.dumps(data))
    storage.write_text(path, page)
