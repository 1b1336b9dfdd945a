"""The stack over windows: what is carried, what is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest
from every_cell import every_cell
from layouts import needs_pairs, needs_tiles
from networks import Case, config

from rnnlm.network import build
from rnnlm.network.network import Window
from rnnlm.network.parameters import flatten


@pytest.mark.parametrize("layers", [1, 2])
def test_two_windows_with_carried_state_are_one_long_window(layers: int) -> None:
    case = Case(config(layers=layers), steps=8)
    network = case.network
    trace = case.forward()
    whole, after = trace.up.copy(), network.states_after(trace, 8)
    trace = case.forward(steps=3)
    first, states = trace.up.copy(), network.states_after(trace, 3)
    trace = network.forward(Window(case.inputs[3:], case.reset[3:], states))
    second = trace.up.copy()
    np.testing.assert_allclose(np.concatenate([first, second]), whole, rtol=0, atol=1e-15)
    for a, b in zip(network.states_after(trace, 5), after, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-15)


def test_the_gradient_stops_at_the_window_and_at_a_reset() -> None:
    """A reset at step t cuts as the end of a window does: what was before it has no part in later losses."""
    case = Case(config(), steps=6, resets=False)
    case.reset[3] = True
    with_past = case.gradients(3)
    alone = Case(config(), steps=6, resets=False)
    alone.inputs, alone.targets, alone.reset = case.inputs[3:], case.targets[3:], case.reset[3:]
    for name, wanted in alone.gradients(3).items():
        np.testing.assert_allclose(with_past[name], wanted, rtol=0, atol=1e-15)
    assert np.abs(case.backward(3)[1].states[0]).max() == 0


@every_cell
@pytest.mark.parametrize("threads", [1, 2])
def test_windows_with_and_without_resets_take_turns(model: dict[str, Any], threads: int) -> None:
    """Without a reset h(t-1) is not copied; what such a window leaves behind must not be seen by the next."""
    settings = config(hidden=5, threads=threads, model=model)
    plain, other = (Case(settings, steps=steps, resets=False, seed=1) for steps in (9, 6))
    other.reset[2, 0] = other.reset[5, 2] = True
    wanted = [Case(plain.network.config, steps=9, resets=False, seed=1).gradients(9)]
    fresh = Case(settings, steps=6, resets=False, seed=1)
    fresh.reset[:] = other.reset
    wanted.append(fresh.gradients(6))
    other.network = plain.network
    for case, expected in ((plain, wanted[0]), (other, wanted[1]), (plain, wanted[0])):
        for name, found in case.gradients(case.steps).items():
            np.testing.assert_array_equal(found, expected[name], err_msg=name)


@every_cell
def test_a_window_that_begins_with_a_reset_is_one_from_the_initial_state(model: dict[str, Any]) -> None:
    """The first step alone may be reset where h(t-1) is not copied."""
    reset, begun = (Case(config(hidden=5, model=model), steps=6, resets=False, seed=2) for _ in range(2))
    reset.reset[0] = True
    begun.states = begun.network.initial_states(begun.batch)
    wanted = begun.gradients(6)
    for name, found in reset.gradients(6).items():
        np.testing.assert_array_equal(found, wanted[name], err_msg=name)


PRECISIONS = [
    ("float64", 1e-13),
    ("float32", 1e-5),
    pytest.param("bfloat16", 1e-2, marks=needs_pairs),  # a number that is rounded up in one, and down in the other
    pytest.param("bfloat16x3", 1e-4, marks=needs_tiles),
]


@every_cell
@pytest.mark.parametrize(("precision", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("hidden", [6, 130])
def test_the_gradient_of_a_window_of_more_rows_than_go_together(
    model: dict[str, Any], hidden: int, precision: str, tolerance: float
) -> None:
    """1,280 rows, of which 512 go together: as the gradients of halves of the streams, which have 640."""
    settings = config(hidden=hidden, precision=precision, model=model)
    whole = Case(settings, vocabulary=7, steps=40, batch=32)
    found = whole.gradients(40)
    halves = []
    for streams in (slice(0, 16), slice(16, 32)):
        half = Case(whole.network, vocabulary=7, steps=40, batch=16)
        half.inputs, half.targets, half.reset = (
            np.ascontiguousarray(array[:, streams]) for array in (whole.inputs, whole.targets, whole.reset)
        )
        half.states = [np.ascontiguousarray(state[streams]) for state in whole.states]
        halves.append(half.gradients(40))
    for name, gradient in found.items():
        wanted = (halves[0][name] + halves[1][name]) / 2
        largest = max(1, np.abs(wanted).max())
        np.testing.assert_allclose(gradient, wanted, rtol=0, atol=tolerance * largest, err_msg=name)


def test_probabilities_sum_to_one_and_agree_with_the_oracle() -> None:
    case = Case(config("sigmoid", layers=2), vocabulary=30)
    wanted = oracle.forward(case.network.named, case.inputs, case.states, "sigmoid", reset=case.reset)
    found = case.network.log_distribution(case.forward())
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(found, wanted.log_y_hat[-1], rtol=0, atol=1e-13)


def test_log_probabilities_ranks_and_entropies() -> None:
    case = Case(config("tanh"), vocabulary=30)
    found = case.network.scores(case.forward(), case.targets, details=True)
    log_probability, rank, entropy, alternative, its_log_probability, _ = found
    wanted = oracle.forward(case.network.named, case.inputs, case.states, "tanh", reset=case.reset).log_y_hat
    for t in range(case.steps):
        for b in range(case.batch):
            row = wanted[t, b]
            target = case.targets[t, b]
            assert log_probability[t, b] == pytest.approx(row[target], rel=1e-13)
            assert rank[t, b] == 1 + (row > row[target]).sum()
            assert entropy[t, b] == pytest.approx(-(np.exp(row) * row).sum(), rel=1e-12)
            assert alternative[t, b] == row.argmax()
            assert its_log_probability[t, b] == pytest.approx(row.max(), rel=1e-12)
            if alternative[t, b] == target:
                assert its_log_probability[t, b] == log_probability[t, b], "to the last bit"
    assert 0 < (rank == 1).sum() < rank.size


@pytest.mark.parametrize("vocabulary", [2, 63, 64, 129, 1000])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_blocks_of_any_shape(vocabulary: int, precision: str) -> None:
    """More rows than a block of logits, and vocabularies around the widths that the kernels work in."""
    case = Case(config(precision=precision), vocabulary=vocabulary, steps=50, batch=17)
    found = case.network.scores(case.forward(), case.targets).log_probability
    parameters = {name: value.astype(np.float64) for name, value in case.network.named.items()}
    states = [state.astype(np.float64) for state in case.states]
    log_y_hat = oracle.forward(parameters, case.inputs, states, "tanh", reset=case.reset).log_y_hat
    wanted = np.take_along_axis(log_y_hat, case.targets[..., None].astype(int), axis=2)[..., 0]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12 if precision == "float64" else 2e-5)


def test_dropout_keeps_the_mean_and_the_same_key_gives_the_same_mask() -> None:
    from rnnlm.network.layers import dropout

    masks = []
    for threads, key in ((1, (1, 2, 0)), (2, (1, 2, 0)), (1, (1, 3, 0)), (1, (1, 2, 1))):
        x = np.ones((100, 1000), np.float32)
        dropout.apply(threads, x, dropout.key(*key), 0.3, x.size, 0, 0)
        masks.append(x)
        assert (x == 0).mean() == pytest.approx(0.3, abs=0.006)  # four standard deviations
        assert np.unique(x[x > 0]) == np.float32(1 / 0.7)
    assert (masks[0] == masks[1]).all()
    for other in masks[2:]:
        # Independent masks agree where both keep or both drop.
        assert ((masks[0] == 0) == (other == 0)).mean() == pytest.approx(0.58, abs=0.007)


def test_dropout_masks_of_neighbouring_places_are_independent() -> None:
    from rnnlm.network.layers import dropout

    x = np.ones(200_000, np.float32)
    dropout.apply(1, x, dropout.key(0, 0, 0), 0.5, x.size, 0, 0)
    dropped = (x == 0).astype(float)
    for lag in (1, 2, 16, 1000):
        assert abs(np.corrcoef(dropped[:-lag], dropped[lag:])[0, 1]) < 0.01


def test_shapes_carry_the_notation() -> None:
    settings = config(d=3, hidden=4, layers=2)
    assert build.shapes(settings, 9) == {
        "embedding.table": (9, 3),
        "cell.0.I": (3, 4),
        "cell.0.H": (4, 4),
        "cell.0.b1": (4,),
        "cell.1.I": (4, 4),
        "cell.1.H": (4, 4),
        "cell.1.b1": (4,),
        "output.U": (4, 9),
        "output.b2": (9,),
    }
    assert "output.U" not in build.shapes(config(tie=True), 9)


def test_init_is_seeded_and_of_the_precision_asked_for() -> None:
    table = np.zeros((9, 5), np.float32)

    def start(**train: int | str) -> dict[str, np.ndarray]:
        return flatten(build.init(config(**train), 9, table))  # type: ignore[arg-type]

    same, other = start(seed=1), start(seed=2)
    for name, value in start(seed=1).items():
        assert value.dtype == np.float64
        assert (value == same[name]).all()
    assert (same["cell.0.H"] != other["cell.0.H"]).any()
    assert all(value.dtype == np.float32 for value in start(precision="float32").values())
    assert start()["embedding.table"] is not table


def test_parameters_that_the_kernels_would_misread() -> None:
    """They read arrays by their addresses, as C-contiguous ones."""
    parameters = build.init(config(), 9, np.zeros((9, 5)))
    output = parameters["output"]
    for U, found in (
        (np.asfortranarray(output["U"]), "not C-contiguous"),
        (output["U"].astype(np.float32), "float32"),
    ):
        with pytest.raises(
            ValueError, match=rf"^output.U: found .*{found}.*; all parameters are float64, C-contiguous"
        ):
            build.build(config(), {**parameters, "output": {**output, "U": U}})
