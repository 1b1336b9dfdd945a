"""How a derivation looks."""

from __future__ import annotations

import numpy as np
from screen import shown

from rnnlm.console.views.derivation import derivation_view, formula_view, formulas_view, verdict_view
from rnnlm.gradients.derivation.records import FormulaCheck, Heading, Quantity, Verdict

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


ROW = np.array([[0.5, -1.0]])
RIGHT_FORMULA = FormulaCheck("y = x", "y", "1 x d", ROW, ROW, "1 x d", "differences", 1e-12, True)


def test_a_right_formula() -> None:
    assert shown(formula_view(RIGHT_FORMULA, 80)) == (
        "\n  y = x\n    the formula gives    1 x d\n      [ 0.5 -1. ]\n"
        "    ✓ right; differences: largest difference 1.0e-12, and right with other numbers\n"
    )


def test_wrong_formulas() -> None:
    transposed = FormulaCheck("y = x'", "y", "1 x d", ROW.T, ROW, "d x 1", mistake="a transpose", corrected="y = x")
    assert shown(formula_view(transposed, 80)).splitlines()[-4:] == [
        "      [ 0.5 -1. ]",
        "    ✗ WRONG: d x 1, not 1 x d",
        "    a transpose",
        "    right is y = x",
    ]
    chance = FormulaCheck("y = x", "y", "1 x d", ROW, ROW, "1 x d", "differences", 1e-12, False, True)
    assert shown(formula_view(chance, 80)).splitlines()[-2:] == [
        "    ✗ WRONG: right with these numbers by chance, not with others",
        "    no single mistake explains it; check its parts one by one",
    ]
    assert shown(formulas_view([RIGHT_FORMULA, chance])) == "\n2 formulas checked, 1 of them WRONG\n"
    assert shown(formulas_view([chance])) == "\n1 formula checked, WRONG\n"
