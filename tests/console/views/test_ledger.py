"""The view of a ledger."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import Case, config
from rich.cells import cell_len
from screen import terminal

from rnnlm.console.views import ledger as view
from rnnlm.gradients.ledger import ledger
from rnnlm.gradients.ledger.records import Carried, Lag, LayerLedger, Ledger
from rnnlm.gradients.window import Window


def _layer(jacobians: list[float]) -> LayerLedger:
    lags = tuple(Lag(lag, {}, {}, {}, value, value) for lag, value in enumerate(jacobians))
    rate = (jacobians[-1] / jacobians[1]) ** (1 / (len(jacobians) - 2))
    empty: dict[str, Any] = {}
    return LayerLedger("layer 0", empty, empty, empty, np.empty((0, 0)), empty, empty, lags, rate)


@pytest.mark.parametrize(
    ("jacobians", "sentence"),
    [
        ([1, 0.5, 0.25, 0.125], "and 1.25e-01 at lag 3, a factor of 0.500 a step: the gradient vanishes"),
        ([1, 2.49, 2.2, 1.9, 1.62], "a factor of 0.867 a step: it falls, but is not below 1 in this window"),
        ([1, 2, 4, 8], "2.00e+00 at lag 1 and 8.00e+00 at lag 3, a factor of 2.000 a step: the gradient explodes"),
        ([1, 0.1, 0.2, 0.4], "a factor of 2.000 a step: it grows, but is not above 1 in this window"),
        ([1, 0.5, 0.5, 0.5], "a factor of 1.000 a step: the gradient keeps its size"),
    ],
)  # fmt: skip
def test_the_sentence_follows_from_the_figures(jacobians: list[float], sentence: str) -> None:
    assert view._flow(_layer(jacobians)).endswith(sentence)


def test_the_states_own_path_is_told_beside_the_norm_that_it_explains() -> None:
    array = np.empty((0, 0))
    lags = tuple(Lag(k, {}, {}, {}, 0.1**k, 0.1**k, {"c": 0.9**k}, 0.8**k, 0.5**k) for k in range(4))
    empty: dict[str, Any] = {}
    carried = Carried("f", "c", array, array)
    layer = LayerLedger(
        "layer 0", empty, empty, empty, array, empty, empty, lags, 0.1, ("H_f",), {"c": array}, {"c": 0.9}, carried
    )
    assert view._flow(layer).startswith("dh(t)/dh(t-k) is 1.00e-01 at lag 1 and 1.00e-03 at lag 3")
    assert view._flow(layer, "c").startswith("dc(t)/dc(t-k) is 9.00e-01 at lag 1 and 7.29e-01 at lag 3")
    assert view._carried(layer, carried) == (
        "of dc(t)/dc(t-3), 7.29e-01, the product of f over the 3 steps alone lets through 5.12e-01 in the unit that "
        "keeps most, 1.25e-01 in the mean unit"
    )


def _ledger(words: tuple[str, ...]) -> Ledger:
    case = Case(config("tanh"), steps=len(words), batch=1, resets=False)
    window = Window(case.inputs, case.targets, case.reset, case.states, len(words), 0)
    task = ledger.ledger(case.network, window, (words, words), "text")
    while True:
        try:
            next(task)
        except StopIteration as end:
            found: Ledger = end.value
            return found


WORDS = ("the", "今天天气很好我们出去玩吧", "天气", "한국어", "ａｂｃｄｅｆｇｈ", "a-very-long-word-indeed", "é")


@pytest.mark.parametrize("width", [80, 200])
def test_the_strips_columns_count_terminal_cells(width: int) -> None:
    """Chinese characters take two cells: what stands after the words begins in the same column."""
    lines = [line.plain for line in view._strips(_ledger(WORDS), width)][1:]
    assert len(lines) == len(WORDS)
    for line, word in zip(lines, WORDS, strict=True):
        column = line.index(".") - 1
        assert cell_len(line[:column]) == 14, line
        assert line.lstrip().startswith(word[:4])


def test_off_a_terminal_tables_are_as_wide_as_they_need(capfd: pytest.CaptureFixture[str]) -> None:
    from rnnlm.console import Console

    console = Console()
    console.show(view.ledger_view(_ledger(WORDS), console.width))
    out, _ = capfd.readouterr()
    assert "…" not in "\n".join(line for line in out.splitlines() if line.strip()[:1].isdigit())
    header = next(line for line in out.splitlines() if line.strip().startswith("lag"))
    assert header.split()[-2:] == ["dh/dh", "kept"]
    rows = [line for line in out.splitlines() if line.strip()[:1].isdigit() and "%" in line]
    assert len(rows) >= len(WORDS)
    assert all(len(row.split()) == len(header.replace("norm ", "norm_").split()) for row in rows)
    assert not any("..." in row for row in rows)


def test_in_a_terminal_no_line_is_wider_than_it() -> None:
    console, stream = terminal(80)
    console.show(view.ledger_view(_ledger(WORDS), console.width))
    assert "dh/dh" in stream.getvalue()
