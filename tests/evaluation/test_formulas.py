"""Formulas of test suites: against Python's own arithmetic, and texts that are none."""

from __future__ import annotations

import random

import pytest

from rnnlm.errors import TextError
from rnnlm.evaluation.formulas import Reference, compile

SURPRISAL = {
    Reference(1, "a"): 2.0, Reference(2, "a"): 5.5, Reference(None, "a"): 7.5,
    Reference(1, "b_c-d"): 3.0, Reference(2, "b_c-d"): 5.5005, Reference(None, "b_c-d"): 8.5005,
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("(1;%a%) < (1;%b_c-d%)", True),
        ("(1;%a%)>(1;%b_c-d%)", False),
        (" ( 1 ; %a% ) < 2.5 ", True),
        ("(1;%a%) < (1;%a%)", False),
        ("(2;%a%) = (2;%b_c-d%)", True),
        ("(2;%a%) = 5.502", False),
        ("(1;%a%) - (1;%b_c-d%) = -1", True),
        ("(*;%a%) < (*;%b_c-d%)", True),
        ("(*;%a%) = (1;%a%) + (2;%a%)", True),
        ("10 - (1;%a%) - (1;%b_c-d%) = 5", True),
        ("10 - (1;%a%) + (1;%b_c-d%) = 11", True),
        ("10 - ((1;%a%) + (1;%b_c-d%)) = 5", True),
        ("[(1;%a%) < 3] & [(2;%a%) > 3]", True),
        ("(1;%a%) < 3 & (2;%a%) > 9", False),
        ("(1;%a%) > 3 | (2;%a%) > 3", True),
        ("1 < 2 | 1 < 2 & 2 < 1", False),
        ("1 < 2 | (1 < 2 & 2 < 1)", True),
        ("[[(1;%a%) - 1] > [(2;%a%) - 5]] & [1 = 1]", True),
    ],
)
def test_formulas(text: str, holds: bool) -> None:
    formula = compile(text, "x")
    assert formula.text == text
    assert formula.holds(SURPRISAL) is holds


def test_random_formulas_are_pythons_own_arithmetic() -> None:
    """Written without the brackets that the order of operations makes needless."""
    generator = random.Random(1)
    names = list(SURPRISAL)

    def number(depth: int) -> tuple[str, str]:
        if depth == 0 or generator.random() < 0.3:
            name = generator.choice(names)
            return str(name), repr(SURPRISAL[name])
        left, right, sign = number(depth - 1), number(0), generator.choice("+-")
        if generator.random() < 0.3:
            bracketed = number(depth - 1)
            right = (f"[{bracketed[0]}]", f"({bracketed[1]})")
        return f"{left[0]} {sign} {right[0]}", f"{left[1]} {sign} {right[1]}"

    found = []
    for _ in range(300):
        left, right, sign = number(4), number(4), generator.choice("<>")
        formula = compile(f"{left[0]}{sign}{right[0]}", "x")
        found.append(formula.holds(SURPRISAL))
        assert found[-1] == eval(f"{left[1]} {sign} {right[1]}"), formula.text
    assert 50 < sum(found) < 250


def test_no_nesting_is_too_deep() -> None:
    text = "(" * 100_000 + "(1;%a%) < 3" + ")" * 100_000
    assert compile(text, "x").holds(SURPRISAL)
    assert compile("(1;%a%)" + " + (1;%a%)" * 50_000 + " > 100000", "x").holds(SURPRISAL)


def test_references() -> None:
    formula = compile("(1;%a%) + 2 < (*;%b_c-d%)", "x")
    assert formula.references == [Reference(1, "a"), Reference(None, "b_c-d")]
    assert [str(reference) for reference in formula.references] == ["(1;%a%)", "(*;%b_c-d%)"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x: at character 1 of the formula: found its end; must be (REGION;%CONDITION%) or a number"),
        ("(1;%a%) <", "at character 10 of the formula: found its end; must be (REGION;%CONDITION%) or a number"),
        ("__import__('os').remove('x')", "at character 1 of the formula: found \"__import__('os').rem\"; must be"),
        ("(1;%a%) ** 2 < 3", "at character 9 of the formula: found '** 2 < 3'; must be one of + - < > = & |"),
        ("(1;%a%) <= 3", "at character 10 of the formula: found '= 3'; must be (REGION;%CONDITION%), a number"),
        ("(1;%a b%) < 3", "at character 3 of the formula: found ';%a b%) < 3'; must be one of"),
        ("(x;%a%) < 3", "at character 2 of the formula: found 'x;%a%) < 3'; must be (REGION;%CONDITION%)"),
        ("1 2 < 3", "at character 3 of the formula: found '2 < 3'; must be one of"),
        ("((1;%a%) < 3", "at character 13 of the formula: found its end; must be ), which closes a bracket"),
        ("(1;%a%) < 3)", "at character 12 of the formula: found ')'; must be one of + - < > = & |: no such bracket"),
        ("[(1;%a%) < 3)", "at character 13 of the formula: found ')'; must be one of + - < > = & |: no such bracket"),
        ("() < 3", "at character 2 of the formula: found ') < 3'; must be (REGION;%CONDITION%)"),
        ("1 < 2 < 3", "x: the formula has a comparison beside <; must be a number on both sides"),
        ("1 & 2", "x: the formula has a number beside &; must be a comparison on both sides"),
        ("(1 < 2) + 3 < 4", "x: the formula has a comparison beside +; must be a number on both sides"),
        ("(1;%a%) + 3", "x: the formula is a number; must be a comparison"),
    ],
)
def test_texts_that_are_no_formulas(text: str, message: str) -> None:
    with pytest.raises(TextError) as found:
        compile(text, "x")
    assert message in str(found.value)
