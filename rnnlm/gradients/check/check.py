"""The gradient check: analytic gradients of the kernels against two numerical derivatives.

The two numerical derivatives, both in float64:

- fourth-order central differences of the kernels' own loss: is the backward pass the derivative of the forward pass?
- complex steps through the equations of ``network.reference``: is it the derivative of the equations on paper?

A central difference subtracts losses, so it shows nothing where a number of the gradient is below their rounding
(saturated units, losses near 0), nor where the loss bends within its step. There the complex step decides alone.

A small parameter is compared element by element. Of a large one some elements are, half of them where the gradient is
largest and half anywhere; random directions v cover all the others: <dJ/dW, v> = d J(W + s v) / ds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnlm.gradients.check import differences
from rnnlm.gradients.check.records import GradientCheck, ParameterCheck, TruncationBias
from rnnlm.gradients.check.verdict import verdict
from rnnlm.gradients.window import Window
from rnnlm.network.cells import Elman
from rnnlm.network.network import Network, Trace
from rnnlm.network.parameters import TABLE
from rnnlm.network.reference import loss as reference
from rnnlm.work import Progress, Task

Array = NDArray[np.float64]

# The largest error that passes, relative to the largest number of the gradient.
CENTRAL, COMPLEX, FORWARD = 1e-7, 1e-9, 1e-11
_DIRECTIONS = 2
# A central difference decides where it may be wrong by no more than this, relative to the gradient's largest number.
_UNSURE = 1e-2
# relu has no derivative at 0: where a step would cross a kink, smaller ones are tried.
_STEPS = (differences.STEP, 1e-5, 1e-6)


@dataclass
class Subject:
    """A network in float64 with a window; `mask`: (seed, number) of the dropout masks, held fixed."""

    network: Network
    window: Window
    mask: tuple[int, int] | None = None
    _last: Trace | None = None

    def loss(self) -> float:
        """J by the kernels."""
        self._last = self._forward()
        return self.network.loss(self._last, self.window.targets, self.window.loss_steps) / self.window.batch

    def gradient(self) -> dict[str, Array]:
        """dJ/d(parameter) by the kernels, whole arrays."""
        _, found = self.network.backward(self._forward(), self.window.targets, self.window.loss_steps)
        result = {name: value.copy() for name, value in found.dense.items()}
        for name, (tokens, rows) in found.rows.items():
            result[name] = np.zeros_like(self.network.named[name])
            result[name][tokens] = rows
        return result

    def plain_loss(self, changed: dict[str, NDArray[np.complex128]] | None = None) -> complex:
        """J by the reference implementation, some parameters changed."""
        masks = self.network.masks(self.window.inputs, self.mask) if self.mask else None
        parameters = self.network.named | (changed or {})
        w = self.window
        return complex(reference.loss(self.network, parameters, w.read, w.targets, w.loss_steps, masks, self.mask))

    def kinks(self) -> list[NDArray[np.bool_]]:
        """Which units of relu were on when `loss` was asked for last."""
        cells = self.network.cells
        relu = [layer for layer, cell in enumerate(cells) if isinstance(cell, Elman) and cell.activation == "relu"]
        hidden = self._last.hidden() if relu and self._last else []
        return [hidden[layer][0] > 0 for layer in relu]

    def crossed(self, before: list[NDArray[np.bool_]]) -> bool:
        """Whether units of relu went on or off since `kinks` gave `before`."""
        return any((a != b).any() for a, b in zip(before, self.kinks(), strict=True))

    @cached_property
    def size(self) -> float:
        """The largest number that the loss is summed from: J, or a log y^ (of the last step)."""
        loss = self.loss()
        assert self._last is not None
        return max(abs(loss), _largest(self.network.log_distribution(self._last)))

    @cached_property
    def floor(self) -> float:
        """How far rounding moves a number of the gradient: y^ and h near 1 have errors of 1e-16, however small y^ - y
        and f' are, and the weights carry these down."""
        arrays = [*self.network.named.values(), *self.gradient().values()]
        return 64 * differences.EPSILON * max(1.0, *(_largest(np.nan_to_num(array)) for array in arrays))

    def _forward(self) -> Trace:
        return self.network.forward(self.window.read, self.mask)


def check(
    network: Network, window: Window, numbers: int = 40, seed: int = 1, longer: Window | None = None
) -> Task[GradientCheck]:
    """Check every parameter. Yields Progress, returns a GradientCheck.

    Args:
        network: in float64; its parameters are changed in place and put back.
        numbers: how many numbers of each parameter are compared one by one; all of them where there are no more.
        longer: the same losses with more steps before them. The derivative is then also taken, and checked, through
            these, and what the shorter window's gradient lacks is the truncation bias.
    """
    began = time.perf_counter()
    # As in training: with dropout, whose masks are tied to places in a window, penalties, and what an output layer
    # draws or adds to the loss.
    model, penalties = network.config.model, network.config.train.penalties
    training = (model.drops or penalties.any or network.output.own_objective) and longer is None
    subject = Subject(network, window, (network.config.train.seed, 1) if training else None)
    loss, plain_loss = subject.loss(), subject.plain_loss().real
    forward_passed = abs(loss - plain_loss) <= FORWARD * max(1.0, abs(plain_loss))
    task = "checking gradients"
    checks = yield from _compare_all(subject, numbers, seed, task)
    failed = [found for found in checks if not found.passed]
    if failed:
        checks = [found if found.passed else _shorten(subject, found, numbers, seed) for found in checks]
    untruncated: list[ParameterCheck] = []
    bias: list[TruncationBias] = []
    if longer is not None:
        whole = Subject(network, longer)
        untruncated = yield from _compare_all(whole, numbers, seed, f"{task} through {longer.steps} steps")
        short, long = subject.gradient(), whole.gradient()
        bias = [_bias(name, short[name], long[name]) for name in long]
    tokens = window.loss_steps
    return GradientCheck(
        parameters=tuple(checks),
        frozen=tuple(name for name in network.named if name not in {found.name for found in checks}),
        loss=loss / tokens,
        plain_loss=plain_loss / tokens,
        forward_passed=forward_passed,
        tolerance=CENTRAL,
        start=window.start,
        steps=window.steps,
        loss_steps=window.loss_steps,
        batch=window.batch,
        dropping=training and network.config.model.drops,
        through=longer.steps - window.steps if longer is not None else 0,
        untruncated=tuple(untruncated),
        bias=tuple(bias),
        verdict=verdict(checks, untruncated, forward_passed),
        passed=forward_passed and all(found.passed for found in [*checks, *untruncated]),
        seconds=time.perf_counter() - began,
    )


def _compare_all(subject: Subject, numbers: int, seed: int, task: str) -> Task[list[ParameterCheck]]:
    gradient = subject.gradient()
    found = []
    for done, name in enumerate(gradient):
        yield Progress(task, done, len(gradient), "parameters")
        found.append(_compare(subject, name, gradient[name], numbers, seed))
    yield Progress(task, len(gradient), len(gradient), "parameters")
    return found


def _compare(subject: Subject, name: str, gradient: Array, numbers: int, seed: int) -> ParameterCheck:
    x = subject.network.named[name]
    generator = np.random.default_rng([seed, len(name), x.size])
    places = _places(subject, name, gradient, numbers, generator)
    found = [_smooth(subject, _along_one(subject, x, place)) for place in places]
    analytic, central = (np.array(values) for values in ([gradient[p] for p in places], [d.value for d in found]))
    unsure = np.array([d.unsure for d in found])
    scale = max(_largest(gradient), _largest(central[unsure <= _UNSURE * np.abs(central)]))
    sure = unsure <= _UNSURE * scale

    # Everywhere, or at some of many places; and where central differences do not decide.
    every = 1 if len(places) == x.size else max(1, len(places) // max(1, numbers // 8))
    asked = [n for n in range(len(places)) if n % every == 0 or not sure[n]]
    exact = np.array([_complex_step(subject, name, _one(x, places[n])) for n in asked])
    exact_scale = max(_largest(gradient), _largest(exact))
    exact_error = _largest(analytic[asked] - exact)
    numeric = central.copy()
    numeric[asked] = np.where(sure[asked], central[asked], exact)
    error = np.abs(analytic - numeric)
    allowed = np.where(sure, CENTRAL * scale + unsure, COMPLEX * exact_scale + subject.floor)
    worst = int(np.nan_to_num(error, nan=np.inf).argmax())

    direction_error, direction_passed = 0.0, True
    for _ in range(_DIRECTIONS):
        v = generator.choice((-1.0, 1.0), x.shape) / math.sqrt(x.shape[-1] if name == TABLE else x.shape[0])
        own, floor = float((gradient * v).sum()), subject.floor * float(np.linalg.norm(v))
        size = float(np.linalg.norm(gradient)) * float(np.abs(v).max())
        along = _smooth(subject, _along(subject, x, v))
        off = [abs(own - _complex_step(subject, name, v))]
        direction_passed &= off[0] <= COMPLEX * size + floor
        if along.unsure <= _UNSURE * max(size, abs(along.value)):
            off.append(abs(own - along.value))
            direction_passed &= off[1] <= CENTRAL * size + along.unsure
        direction_error = max(direction_error, max(off) / max(size, floor))
    return ParameterCheck(
        name=name,
        shape=x.shape,
        size=x.size,
        checked=len(places),
        absolute=float(error[worst]),
        relative=float(error[worst]) / max(scale, exact_scale, subject.floor),
        place=tuple(int(i) for i in places[worst]),
        analytic=float(analytic[worst]),
        numeric=float(numeric[worst]),
        complex_step=exact_error / max(exact_scale, subject.floor),
        direction=direction_error,
        cosine=_cosine(analytic, numeric),
        ratio=_ratio(analytic, numeric),
        passed=bool((error <= allowed).all())
        and exact_error <= COMPLEX * exact_scale + subject.floor
        and direction_passed
        and bool(np.isfinite(gradient).all()),
        by_complex=int((~sure).sum()),
    )


def _places(
    subject: Subject, name: str, gradient: Array, numbers: int, generator: np.random.Generator
) -> list[tuple[int, ...]]:
    """Where to compare element by element: half where the gradient is largest, half anywhere (in the embedding:
    anywhere in the rows of the window's tokens, the others being zero)."""
    if gradient.size <= numbers:
        return list(np.ndindex(*gradient.shape))
    half = numbers // 2
    flat = np.abs(np.nan_to_num(gradient, nan=np.inf)).ravel()
    largest = np.argpartition(flat, -half)[-half:] if half else np.empty(0, np.int64)
    if name == TABLE:
        tokens = np.unique(subject.window.inputs)
        anywhere = generator.choice(tokens, numbers - half) * gradient.shape[1]
        anywhere += generator.integers(0, gradient.shape[1], numbers - half)
    else:
        anywhere = generator.integers(0, gradient.size, numbers - half)
    chosen = np.unique(np.concatenate([largest, anywhere]))
    return [tuple(int(i) for i in np.unravel_index(place, gradient.shape)) for place in chosen]


class _Difference(NamedTuple):
    """A central difference, and what it may be wrong by: infinite where every step crosses a kink."""

    value: float
    unsure: float


def _smooth(subject: Subject, function: Callable[[float], float]) -> _Difference:
    """The central difference with the largest step that crosses no kink."""
    subject.loss()
    before = subject.kinks()
    for step in _STEPS:
        crossed = False

        def watched(by: float) -> float:
            nonlocal crossed
            value = function(by)
            crossed |= subject.crossed(before)
            return value

        value, spread = differences.central_with_spread(watched, step)
        if not crossed and math.isfinite(value):
            return _Difference(value, spread + differences.rounding(subject.size, step))
    return _Difference(0.0, math.inf)


def _along_one(subject: Subject, x: Array, place: tuple[int, ...]) -> Callable[[float], float]:
    def function(by: float) -> float:
        with _kept(x, place):
            x[place] += by
            return subject.loss()

    return function


def _along(subject: Subject, x: Array, v: Array) -> Callable[[float], float]:
    def function(by: float) -> float:
        with _kept(x, ...):
            x[...] += by * v
            return subject.loss()

    return function


@contextmanager
def _kept(x: Array, place: Any) -> Iterator[None]:
    """Puts x[place] back at the end, to the last bit."""
    old = np.array(x[place])
    try:
        yield
    finally:
        x[place] = old


def _complex_step(subject: Subject, name: str, v: Array) -> float:
    s = differences.COMPLEX_STEP
    return subject.plain_loss({name: subject.network.named[name] + 1j * s * v}).imag / s


def _one(x: Array, place: tuple[int, ...]) -> Array:
    v = np.zeros_like(x)
    v[place] = 1
    return v


def _shorten(subject: Subject, found: ParameterCheck, numbers: int, seed: int) -> ParameterCheck:
    """The same with the least number of steps for which the gradient is wrong: 1, 2, or all of them."""
    for steps in (1, 2):
        if steps < subject.window.steps:
            short = Subject(subject.network, subject.window.last(subject.network, steps), subject.mask)
            again = _compare(short, found.name, short.gradient()[found.name], numbers, seed)
            if not again.passed:
                return replace(found, shortest=steps)
    return replace(found, shortest=subject.window.steps)


def _bias(name: str, truncated: Array, whole: Array) -> TruncationBias:
    norm = float(np.linalg.norm(whole))
    difference = float(np.linalg.norm(truncated - whole))
    return TruncationBias(
        name, _cosine(truncated, whole), _ratio(truncated, whole), difference / norm if norm > 0 else 0.0
    )


def _largest(x: Array) -> float:
    return float(np.abs(x).max()) if x.size else 0.0


def _cosine(a: Array, b: Array) -> float:
    size = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float((a * b).sum()) / size if size > 0 else math.nan


def _ratio(a: Array, b: Array) -> float:
    size = float(np.linalg.norm(b))
    return float(np.linalg.norm(a)) / size if size > 0 else math.nan
