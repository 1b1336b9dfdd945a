"""The slow, obvious model in plain NumPy float64, which everything else is held against.

It shares no code with rnnlm: only the equations. A loop over the streams, a loop over time, a loop over the layers;
every vector is one row, so that each line of code is one line of the notation:

    z1(t) = h(t-1) H + e(t) I + b1       h(t) = f(z1(t))        H: D_h x D_h   I: d x D_h   b1: D_h
    z2(t) = h(t) U + b2                  y^(t) = softmax(z2(t))                U: D_h x |V|  b2: |V|
    J(t)  = - log y^_x(t), x the target of step t, natural log

    delta2(t) = y^(t) - y(t)             dJ/dU = sum_t h(t)' delta2(t)         dJ/db2 = sum_t delta2(t)
    dJ/dh(t)  = delta2(t) U' + delta1(t+1) H'                                  delta1(t) = dJ/dh(t) o f'(z1(t))
    dJ/dH     = sum_t h(t-1)' delta1(t)  dJ/dI = sum_t e(t)' delta1(t)         dJ/db1 = sum_t delta1(t)
    dJ/de(t)  = delta1(t) I', added to row x(t) of the embedding table

(Elman 1990; the gradients are backpropagation through time, Werbos 1990.) In a layer above the first, e(t) is the
h(t) of the layer below; in one below the last, the delta1(t) I' of the layer above stands for delta2(t) U'.

Parameters are a dict of float64 arrays: "embedding.table" (|V| x d); "cell.0.I", "cell.0.H", "cell.0.b1", then
"cell.1.I" and so on; "output.U", "output.b2". Without "output.U" the weights are tied: U is the transposed table.

Arguments that several functions take:

    inputs, targets  (T, B) token ids: T steps of B streams
    states           one (B, D_h) array a layer: h before the first step
    activation       "sigmoid", "tanh" or "relu"
    reset            (T, B) of bool: True puts h(t-1) of that stream to 0 in every layer before step t
    masks            dropout, already scaled, by name: "embedding" (T, B, d) multiplies e(t); "hidden.0" (T, B, D_h)
                     multiplies what layer 0 hands up (to layer 1, or to the softmax). The recurrence is never masked
    loss_steps       only the last so many steps of the window have a loss

Complex numbers pass through forward and loss unharmed: a complex step then checks the gradients to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Parameters = dict[str, Array]
Masks = dict[str, Array]


def sigmoid(z: Array) -> Array:
    with np.errstate(over="ignore"):  # exp(800) is inf, and 1 / (1 + inf) is the right 0
        return 1 / (1 + np.exp(-z))


def relu(z: Array) -> Array:
    return np.where(z.real > 0, z, 0)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"sigmoid": sigmoid, "tanh": np.tanh, "relu": relu}

# f'(z1), written with h = f(z1); for relu it is 0 at z1 = 0.
DERIVATIVES: dict[str, Callable[[Array], Array]] = {
    "sigmoid": lambda h: h * (1 - h),
    "tanh": lambda h: 1 - h * h,
    "relu": lambda h: (h > 0).astype(h.dtype),
}


def log_softmax(z2: Array) -> Array:
    """log y^ = z2 - log sum exp z2, shifted by the largest z2 so that exp cannot overflow."""
    shifted = z2 - z2.real.max()
    return shifted - np.log(np.exp(shifted).sum())


@dataclass(frozen=True)
class Forward:
    """All that one window computes. Lists have one array a layer.

    up[l] is what enters layer l, after dropout: (T, B, d) for l = 0; the last one, up[layers], enters the softmax.
    before[l], z1[l], h[l] are (T, B, D_h): h(t-1) as step t used it (0 after a reset), z1(t) and h(t).
    z2, log_y_hat, y_hat are (T, B, |V|). states[l] (B, D_h) is h after the last step.
    """

    up: list[Array]
    before: list[Array]
    z1: list[Array]
    h: list[Array]
    z2: Array
    log_y_hat: Array
    y_hat: Array
    states: list[Array]


def layer_count(parameters: Parameters) -> int:
    return sum(name.startswith("cell.") and name.endswith(".H") for name in parameters)


def output_weights(parameters: Parameters) -> Array:
    """U (D_h x |V|); the transposed embedding table when tied."""
    return parameters["output.U"] if "output.U" in parameters else parameters["embedding.table"].T


def zero_states(parameters: Parameters, streams: int) -> list[Array]:
    """h = 0 for every layer and stream."""
    return [np.zeros((streams, len(parameters[f"cell.{l}.H"]))) for l in range(layer_count(parameters))]


def forward(
    parameters: Parameters,
    inputs: NDArray[np.integer],
    states: list[Array],
    activation: str,
    reset: NDArray[np.bool_] | None = None,
    masks: Masks | None = None,
) -> Forward:
    """Run the network over one window. Raises ValueError for arguments that do not fit one another."""
    _check(parameters, inputs, states, reset, masks)
    T, B = inputs.shape
    layers = layer_count(parameters)
    f = ACTIVATIONS[activation]
    table, U, b2 = parameters["embedding.table"], output_weights(parameters), parameters["output.b2"]

    dtype = np.result_type(*parameters.values(), *states)  # float64, or complex128 under a complex step
    sizes = [len(parameters[f"cell.{l}.H"]) for l in range(layers)]
    up = [np.zeros((T, B, size), dtype) for size in [table.shape[1], *sizes]]
    before = [np.zeros((T, B, size), dtype) for size in sizes]
    z1 = [np.zeros((T, B, size), dtype) for size in sizes]
    h = [np.zeros((T, B, size), dtype) for size in sizes]
    z2, log_y_hat = np.zeros((T, B, len(table)), dtype), np.zeros((T, B, len(table)), dtype)

    for b in range(B):
        for t in range(T):
            up[0][t, b] = table[inputs[t, b]] * _mask(masks, "embedding", t, b)
            for l in range(layers):
                I, H, b1 = (parameters[f"cell.{l}.{letter}"] for letter in ("I", "H", "b1"))
                if reset is None or not reset[t, b]:  # otherwise h(t-1) stays 0
                    before[l][t, b] = h[l][t - 1, b] if t > 0 else states[l][b]
                z1[l][t, b] = before[l][t, b] @ H + up[l][t, b] @ I + b1
                h[l][t, b] = f(z1[l][t, b])
                up[l + 1][t, b] = h[l][t, b] * _mask(masks, f"hidden.{l}", t, b)
            z2[t, b] = up[layers][t, b] @ U + b2
            log_y_hat[t, b] = log_softmax(z2[t, b])

    return Forward(up, before, z1, h, z2, log_y_hat, np.exp(log_y_hat), [h[l][T - 1].copy() for l in range(layers)])


def loss(
    parameters: Parameters,
    inputs: NDArray[np.integer],
    targets: NDArray[np.integer],
    states: list[Array],
    activation: str,
    loss_steps: int,
    reset: NDArray[np.bool_] | None = None,
    masks: Masks | None = None,
) -> float:
    """J in nats: the sum of J(t) over the last `loss_steps` steps, averaged over the streams."""
    run = forward(parameters, inputs, states, activation, reset, masks)
    T, B = _check_targets(inputs, targets, loss_steps)
    return sum(-run.log_y_hat[t, b, targets[t, b]] for b in range(B) for t in range(T - loss_steps, T)) / B


def gradients(
    parameters: Parameters,
    inputs: NDArray[np.integer],
    targets: NDArray[np.integer],
    states: list[Array],
    activation: str,
    loss_steps: int,
    reset: NDArray[np.bool_] | None = None,
    masks: Masks | None = None,
) -> tuple[dict[str, Array], list[Array]]:
    """The gradient of `loss` by backpropagation through time: (by parameter name, by layer's `states` (B, D_h))."""
    run = forward(parameters, inputs, states, activation, reset, masks)
    T, B = _check_targets(inputs, targets, loss_steps)
    layers = layer_count(parameters)
    derivative = DERIVATIVES[activation]
    U = output_weights(parameters)
    gradient = {name: np.zeros_like(value) for name, value in parameters.items()}
    state_gradient = [np.zeros_like(state) for state in states]
    dU = np.zeros(U.shape)

    for b in range(B):
        later = [np.zeros(state.shape[1]) for state in states]  # delta1(t+1) H' a layer; 0 after the window
        for t in reversed(range(T)):
            delta2 = np.zeros(U.shape[1])
            if t >= T - loss_steps:
                delta2 = run.y_hat[t, b].copy()
                delta2[targets[t, b]] -= 1
                delta2 /= B  # the loss is the mean over the streams
            dU += np.outer(run.up[layers][t, b], delta2)
            gradient["output.b2"] += delta2
            dup = delta2 @ U.T  # what comes down to the layer below
            for l in reversed(range(layers)):
                I, H = parameters[f"cell.{l}.I"], parameters[f"cell.{l}.H"]
                dh = dup * _mask(masks, f"hidden.{l}", t, b) + later[l]
                delta1 = dh * derivative(run.h[l][t, b])
                gradient[f"cell.{l}.H"] += np.outer(run.before[l][t, b], delta1)
                gradient[f"cell.{l}.I"] += np.outer(run.up[l][t, b], delta1)
                gradient[f"cell.{l}.b1"] += delta1
                dup = delta1 @ I.T
                later[l] = delta1 @ H.T
                if reset is not None and reset[t, b]:
                    later[l] = np.zeros_like(later[l])  # step t did not use the h before it
            gradient["embedding.table"][inputs[t, b]] += dup * _mask(masks, "embedding", t, b)
        for l in range(layers):
            state_gradient[l][b] = later[l]

    if "output.U" in parameters:
        gradient["output.U"] += dU
    else:
        gradient["embedding.table"] += dU.T  # tied: one parameter, used twice
    return gradient, state_gradient


def predictions(
    parameters: Parameters, ids: NDArray[np.integer], line_end: int, activation: str, state: str = "carry",
    initial: list[Array] | None = None,
) -> Array:  # fmt: skip
    """log y^ (tokens x |V|) for every position of a text: what the network expects before it sees the token there.

    The text begins as if a line had just ended: h is `initial` (D_h numbers a layer; None: 0), and the line-end token
    is the first input. Under `state` "reset" every line is a text of its own; under "carry" h is kept.
    """
    if state not in ("carry", "reset"):
        raise ValueError(f"state must be carry or reset; found {state!r}")
    if np.min(ids) < 0:  # the last one is not an input, so that forward does not see it
        raise ValueError("token ids must not be negative")
    inputs = np.concatenate([[line_end], np.asarray(ids)[:-1]])[:, None]
    states = zero_states(parameters, 1) if initial is None else [h[None, :].astype(np.float64) for h in initial]
    begins = np.flatnonzero(inputs == line_end)[1:] if state == "reset" else []
    texts = np.split(inputs, begins)
    return np.concatenate([forward(parameters, text, states, activation).log_y_hat[:, 0] for text in texts])


def log_probabilities(
    parameters: Parameters, ids: NDArray[np.integer], line_end: int, activation: str, state: str = "carry",
    initial: list[Array] | None = None,
) -> Array:  # fmt: skip
    """The natural log of the probability of each token, one a token; surprisal in nats is its negative."""
    rows = predictions(parameters, ids, line_end, activation, state, initial)
    return np.array([row[x] for row, x in zip(rows, ids, strict=True)])


def ranks(
    parameters: Parameters, ids: NDArray[np.integer], line_end: int, activation: str, state: str = "carry"
) -> NDArray[np.int64]:
    """1 + the number of tokens that were strictly more likely than the one that came."""
    rows = predictions(parameters, ids, line_end, activation, state)
    return np.array([1 + (row > row[x]).sum() for row, x in zip(rows, ids, strict=True)])


def entropies(
    parameters: Parameters, ids: NDArray[np.integer], line_end: int, activation: str, state: str = "carry"
) -> Array:
    """The entropy of each prediction in bits: - sum_j y^_j log2 y^_j."""
    rows = predictions(parameters, ids, line_end, activation, state)
    return np.array([-(np.exp(row) * row).sum() / np.log(2) for row in rows])


def alternatives(
    parameters: Parameters, ids: NDArray[np.integer], line_end: int, activation: str, state: str = "carry"
) -> tuple[NDArray[np.int64], Array]:
    """The most probable token of each prediction, and its log y^."""
    rows = predictions(parameters, ids, line_end, activation, state)
    return np.array([row.argmax() for row in rows]), np.array([row.max() for row in rows])


def perplexity(
    parameters: Parameters,
    ids: NDArray[np.integer],
    line_end: int,
    activation: str,
    state: str = "carry",
    counted: NDArray[np.bool_] | None = None,
) -> float:
    """exp of the mean surprisal over all tokens, or over those where `counted` is True (all are still read)."""
    surprisal = -log_probabilities(parameters, ids, line_end, activation, state)
    return float(np.exp(surprisal.mean() if counted is None else surprisal[counted].mean()))


def _mask(masks: Masks | None, name: str, t: int, b: int) -> Array | float:
    return 1.0 if masks is None or name not in masks else masks[name][t, b]


def _check(
    parameters: Parameters,
    inputs: NDArray[np.integer],
    states: list[Array],
    reset: NDArray[np.bool_] | None,
    masks: Masks | None,
) -> None:
    """NumPy would broadcast, wrap round or round down in silence; a model that others are held against must not."""
    T, B = inputs.shape
    tokens, width = parameters["embedding.table"].shape
    shapes: dict[str, tuple[int, ...]] = {"embedding.table": (tokens, width), "output.b2": (tokens,)}
    mask_shapes = {"embedding": (T, B, width)}
    for l in range(layer_count(parameters)):
        size = len(parameters[f"cell.{l}.H"])
        shapes |= {f"cell.{l}.I": (width, size), f"cell.{l}.H": (size, size), f"cell.{l}.b1": (size,)}
        mask_shapes[f"hidden.{l}"] = (T, B, size)
        width = size
    if "output.U" in parameters:
        shapes["output.U"] = (width, tokens)
    found = {name: value.shape for name, value in parameters.items()}
    if found != shapes or output_weights(parameters).shape != (width, tokens):
        raise ValueError(f"parameters must have the shapes {shapes} (tied: d = D_h); found {found}")
    if any(value.dtype not in (np.float64, np.complex128) for value in [*parameters.values(), *states]):
        raise ValueError("parameters and states must be float64")
    if T * B == 0 or inputs.min() < 0 or inputs.max() >= tokens:
        raise ValueError(f"inputs must be (T, B) token ids in 0 ... {tokens - 1}, at least one")
    if [(T, *state.shape) for state in states] != list(mask_shapes.values())[1:]:
        raise ValueError(f"states must be one (B, D_h) array a layer; found {[state.shape for state in states]}")
    if reset is not None and reset.shape != (T, B):
        raise ValueError(f"reset must be {(T, B)}; found {reset.shape}")
    for name, mask in (masks or {}).items():
        if mask.shape != mask_shapes.get(name):
            raise ValueError(f"masks must be among {mask_shapes}; found {name} {mask.shape}")


def _check_targets(inputs: NDArray[np.integer], targets: NDArray[np.integer], loss_steps: int) -> tuple[int, int]:
    """(T, B), when targets and loss_steps fit the inputs."""
    T, B = inputs.shape
    if targets.shape != (T, B) or targets.min() < 0 or not 1 <= loss_steps <= T:
        raise ValueError(f"targets must be {(T, B)} ids, loss_steps 1 ... {T}; found {targets.shape}, {loss_steps}")
    return T, B
