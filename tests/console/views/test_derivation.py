"""How a derivation looks."""

from __future__ import annotations

import numpy as np
from screen import shown

from rnnlm.console.views.derivation import derivation_view, verdict_view
from rnnlm.gradients.derivation.records import Heading, Quantity, Verdict

GIVEN = Quantity("h(0)", "given", "1 x D_h", np.array([[0.5, -1.0]]))
RIGHT = Quantity("J", "- log y^", "1 x 1", np.array(1.25), "the kernels", 1e-17)
WRONG = Quantity("dJ/dU", "h' delta2", "D_h x |V|", np.ones((8, 9)), "differences", 0.5, False, 3)


def test_quantities() -> None:
    assert shown(derivation_view(GIVEN, 80)) == "  h(0) = given    1 x D_h; 1 x 2\n      [ 0.5 -1. ]\n"
    assert shown(derivation_view(RIGHT, 80)) == (
        "  J = - log y^    1 x 1\n      1.25\n      ✓ the kernels: largest difference 1.0e-17\n"
    )
    lines = shown(derivation_view(WRONG, 80)).splitlines()
    assert lines[-1] == "      ✗ WRONG: differences where shown: largest difference 5.0e-01"
    assert len(lines) == 1 + 7 + 1, "three rows at each end, and what is left out"


def test_the_verdict_counts_what_was_checked() -> None:
    assert Verdict.of([Heading("forward"), GIVEN, RIGHT]) == Verdict(True, 1)
    assert shown(verdict_view(Verdict.of([RIGHT, WRONG]))) == "\n2 quantities checked, NOT all of them right\n"
