"""The gradient check passes what is right, and finds by name what is broken on purpose."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from every_cell import every_cell
from networks import Case, config, smooth_case

from rnnlm.gradients.check import check
from rnnlm.gradients.check.check import Subject
from rnnlm.gradients.check.records import GradientCheck
from rnnlm.gradients.window import Window
from rnnlm.kernels.matmul import linear
from rnnlm.network.cells import elman, recurrence
from rnnlm.network.outputs.softmax import rows

ACTIVATIONS = ("sigmoid", "tanh", "relu")


def window(case: Case, loss_steps: int | None = None) -> Window:
    steps = case.inputs.shape[0]
    return Window(case.inputs, case.targets, case.reset, case.states, loss_steps or steps, 0)


def run(case: Case, loss_steps: int | None = None, **arguments: Any) -> GradientCheck:
    work = check.check(case.network, window(case, loss_steps), **arguments)
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: GradientCheck = end.value
            return found


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("layers", "tie", "dropout", "loss_steps"), [(1, False, 0.0, 7), (2, True, 0.3, 3), (3, False, 0.0, 1)]
)
def test_right_gradients_pass(activation: str, layers: int, tie: bool, dropout: float, loss_steps: int) -> None:
    case = Case(config(activation, layers=layers, tie=tie, dropout=dropout))
    before = {name: value.copy() for name, value in case.network.named.items()}
    found = run(case, loss_steps)
    assert found.passed, found.verdict
    assert found.verdict == "every gradient is the derivative of the loss"
    assert {one.name for one in found.parameters} == set(case.network.named)
    for one in found.parameters:
        assert one.relative < 1e-7
        assert one.complex_step < 1e-13
        assert one.direction < 1e-7
        assert one.cosine == pytest.approx(1, abs=1e-9)
    for name, value in case.network.named.items():
        assert value.tobytes() == before[name].tobytes(), "a parameter was not put back"


def test_a_large_parameter_is_sampled_and_a_small_one_is_not() -> None:
    case = Case(config("tanh", d=8, hidden=9), vocabulary=50)
    found = {one.name: one for one in run(case, numbers=20).parameters}
    assert found["cell.0.b1"].checked == found["cell.0.b1"].size == 9
    assert found["embedding.table"].checked <= 20 < found["embedding.table"].size


def test_a_frozen_embedding_is_not_checked() -> None:
    settings = config()
    frozen = settings.model_copy(update={"embedding": settings.embedding.model_copy(update={"trainable": False})})
    found = run(Case(frozen))
    assert found.passed
    assert found.frozen == ("embedding.table",)


# What is broken, by name: the function, what stands in its place, and which parameter the report must point at. The
# activation is tanh, whose f' is 1 where h is 0.
Break = Callable[..., Any]


def _afterwards(name: str, spoil: Callable[[Any], None]) -> Callable[[Break], Break]:
    """The real function, then `spoil` for what it wrote to its argument of this name, or to a field of it."""

    def breaking(real: Break) -> Break:
        names = list(inspect.signature(real.kernel.py_func).parameters)

        def broken(*arguments: Any) -> None:
            real(*arguments)
            argument, *field = name.split(".")
            written = arguments[names.index(argument)]
            spoil(getattr(written, field[0]) if field else written)

        return broken

    return breaking


def _before(name: str, spoil: Callable[[Any], Any]) -> Callable[[Break], Break]:
    """The real function with its argument of this name spoilt."""

    def breaking(real: Break) -> Break:
        names = list(inspect.signature(real.kernel.py_func).parameters)

        def broken(*arguments: Any) -> None:
            given = list(arguments)
            given[names.index(name)] = spoil(given[names.index(name)])
            real(*given)

        return broken

    return breaking


def _multiply(factor: float) -> Callable[[Any], None]:
    def spoil(array: Any) -> None:
        array *= factor

    return spoil


def _one_number(dW: Any) -> None:
    """A single number of a large matrix."""
    dW[3, 4] += 0.1 * np.abs(dW).max()


def _late(previous: Any) -> Any:
    """h(t-2) for h(t-1): one lag too many."""
    late = previous.copy()
    late[1:] = previous[:-1]
    return late


BREAKS: dict[str, tuple[Any, str, Callable[[Break], Break], str]] = {
    "H not transposed on the way back": (
        elman, "_recur_back", _before("H", lambda H: H.T.copy()), "look at cell.0.H on the way back through time",
    ),
    "f' left out": (
        elman, "_recur_back", _before("h", np.zeros_like),
        "all of cell.0 (cell.0.I, cell.0.H, cell.0.b1), in a window of one step too: look at delta1",
    ),
    "the sign of dH": (
        recurrence, "_weights_back", _afterwards("gradients.dH", _multiply(-1)),
        "cell.0.H: look at dJ/dH = h(t-1)' delta1(t) (the opposite",
    ),
    "dH one lag off": (
        recurrence, "_weights_back", _before("previous", _late), "cell.0.H: look at dJ/dH = h(t-1)' delta1(t) (cosine"
    ),
    "half of db1": (
        recurrence, "_weights_back", _afterwards("gradients.db1", _multiply(0.5)),
        "cell.0.b1: look at dJ/db1 = delta1(t) (the right direction",
    ),
    "one number of dI": (linear, "_backward", _afterwards("dW", _one_number), "cell.0.I: look at"),
    "the sign of dU": (
        rows, "_backward", _afterwards("d_weights.U", _multiply(-1)),
        "output.U: look at dJ/dU = h(t)' delta2(t) (the opp",
    ),
    "delta2 twice as large": (
        rows, "_backward", _before("scales", lambda scales: scales * 2),
        "output.U, output.b2: look at delta2(t) = y^(t) - y(t) (the right direction",
    ),
    "H transposed in the forward pass": (
        elman, "_recur", _before("H", lambda H: H.T.copy()), "the kernels' loss is not that of the equations"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.parametrize("size", [(5, 6, 11), (20, 24, 60)], ids=["small", "sampled"])
def test_a_broken_kernel_is_found_by_name(
    name: str, size: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, function, breaking, wanted = BREAKS[name]
    d, hidden, vocabulary = size
    case = Case(config("tanh", d=d, hidden=hidden), vocabulary=vocabulary, resets=False)
    for parameter in case.network.named.values():
        parameter *= 0.6 if d == 20 else 1.0  # far from saturated
    monkeypatch.setattr(module, function, breaking(getattr(module, function)))
    found = run(case)
    assert not found.passed
    assert wanted in found.verdict


def test_what_is_broken_in_an_upper_layer_is_found_there(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(config("tanh", layers=2), resets=False)
    calls = [0]
    real = recurrence._weights_back

    def broken(*arguments: Any) -> None:
        real(*arguments)
        calls[0] += 1
        if calls[0] % 2:  # the upper layer comes first on the way back
            arguments[6].dH[...] *= 1.01

    monkeypatch.setattr(recurrence, "_weights_back", broken)
    found = run(case)
    assert [one.name for one in found.parameters if not one.passed] == ["cell.1.H"]
    assert "cell.1.H: look at" in found.verdict
    assert "1.01 times as large" in found.verdict


def test_a_gradient_that_is_not_a_number_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    real = recurrence._weights_back

    def broken(*arguments: Any) -> None:
        real(*arguments)
        arguments[6].db1[0] = np.nan

    monkeypatch.setattr(recurrence, "_weights_back", broken)
    found = run(Case(config("tanh")))
    assert [one.name for one in found.parameters if not one.passed] == ["cell.0.b1"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_truncation_bias_is_not_an_error(activation: str) -> None:
    case = smooth_case(config(activation), steps=12, resets=False)
    longer = window(case, 4)
    short = longer.last(case.network, 5)
    assert short.loss_steps == 4
    work = check.check(case.network, short, longer=longer)
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: GradientCheck = end.value
            break
    assert found.passed, found.verdict
    assert found.through == 7
    bias = {one.name: one for one in found.bias}
    truncated, whole = Subject(case.network, short).gradient(), Subject(case.network, longer).gradient()
    for name, one in bias.items():
        size = np.linalg.norm(whole[name])
        assert one.difference == pytest.approx(np.linalg.norm(truncated[name] - whole[name]) / size)
        assert one.ratio == pytest.approx(np.linalg.norm(truncated[name]) / size)
    for name in ("output.U", "output.b2"):  # the output layer does not reach back in time
        assert bias[name].difference < 1e-12
        assert bias[name].cosine == pytest.approx(1)
    assert bias["cell.0.H"].difference > 1e-6


def test_a_window_begun_later_has_the_same_losses() -> None:
    case = Case(config("tanh"), steps=9)
    whole = window(case, 3)
    short = whole.last(case.network, 4)
    assert Subject(case.network, short).loss() == pytest.approx(Subject(case.network, whole).loss(), rel=1e-14)


def _extreme(settings: Any, part: str, scale: float, likely: bool | None) -> Case:
    """A case with a part of its parameters times `scale`; likely: targets are the most, or least, likely tokens."""
    case = Case(settings, vocabulary=7, steps=5, batch=2)
    for name, value in case.network.named.items():
        if name.startswith(part):
            value *= scale
    if likely is not None:
        trace, every = case.forward(), range(case.vocabulary)
        tokens = [np.full(case.targets.shape, token, np.int32) for token in every]
        scores = np.stack([case.network.scores(trace, token).log_probability for token in tokens])
        case.targets = (scores.argmax(0) if likely else scores.argmin(0)).astype(np.int32)
    return case


# Where a central difference of the loss shows nothing: the part of the parameters that is made large, and by what.
EXTREMES: dict[str, tuple[str, float, bool | None]] = {
    "saturated units": ("cell", 1000, None),
    "a loss near 0": ("output", 60, True),
    "a loss of 0": ("output", 1000, True),
    "probabilities that underflow": ("output", 1000, False),
    "units that flip within a step": ("cell", 60, None),
    "all of it": ("", 60, True),
}


@every_cell
@pytest.mark.parametrize("extreme", EXTREMES)
def test_right_gradients_pass_where_central_differences_show_nothing(model: dict[str, Any], extreme: str) -> None:
    case = _extreme(config(hidden=4, d=3, layers=2, threads=1, model=model), *EXTREMES[extreme])
    found = run(case)
    assert found.passed, found.verdict
    assert found.verdict == "every gradient is the derivative of the loss"
    for one in found.parameters:
        assert one.relative < 1e-2
        assert max(one.complex_step, one.direction) < 1e-2


def test_the_complex_step_decides_where_central_differences_are_only_rounding() -> None:
    found = {one.name: one for one in run(_extreme(config("tanh", d=3, hidden=4), "cell", 1000, None)).parameters}
    assert found["cell.0.H"].by_complex == found["cell.0.H"].checked == 16
    assert found["output.U"].by_complex == 0


@pytest.mark.parametrize("name", ["the sign of dU", "half of db1", "delta2 twice as large"])
def test_a_broken_kernel_is_found_where_the_loss_is_near_zero(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, function, breaking, wanted = BREAKS[name]
    case = _extreme(config("tanh", d=3, hidden=4), "output", 200, True)
    monkeypatch.setattr(module, function, breaking(getattr(module, function)))
    found = run(case)
    assert found.loss < 1e-3
    assert not found.passed
    assert wanted in found.verdict
