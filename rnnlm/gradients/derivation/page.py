"""The page of the scalar derivation: the unrolled network, which computes again what is moved."""

from __future__ import annotations

from pathlib import Path

from rnnlm.gradients import pages
from rnnlm.gradients.derivation.own_numbers import Own
from rnnlm.network.parameters import B2, TABLE, U

_PAGE = Path(__file__).with_name("page.html")


def write_html(own: Own, path: Path) -> None:
    """A page of its own, as of ``gradients.pages``.

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
    pages.write(_PAGE, data, path)
