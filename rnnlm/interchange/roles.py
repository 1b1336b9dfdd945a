"""Roles of a state dict's tensors: the embedding, the output layer, and its bias.

Both matrices have a row a token. They are told apart by their names, by the bias (an embedding has none), and by
their widths (d and D_h), in this order; where none of these decides, the user is asked. Taken for each other they
would give probabilities that look plausible.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from rnnlm.errors import InputError

_EMBEDDING = {"embedding", "embeddings", "embed", "emb", "encoder", "enc", "wte", "lookup", "table"}
_OUTPUT = {
    "output", "out", "head", "decoder", "dec", "proj", "projection", "fc", "linear", "classifier", "generator",
    "logits", "softmax", "unembed",
}  # fmt: skip


class Roles(NamedTuple):
    """The names of the embedding's matrix, the output layer's (None: tied to the embedding) and its bias."""

    embedding: str
    output: str | None
    bias: str | None


def find(
    tensors: dict[str, np.ndarray], d: int, hidden: int, embedding: str | None = None, output: str | None = None
) -> Roles:
    """The roles of what a state dict has beside its recurrent layers.

    Args:
        d: numbers that the first layer reads; hidden: that the last one gives.
        embedding, output: the names of the matrices where the user has told them.

    Raises:
        InputError: something else is among them, or they cannot be told apart.
    """
    listed = ", ".join(tensors) or "nothing"
    for name in (embedding, output):
        if name is not None and name not in tensors:
            raise InputError(f"{name}: no such tensor; beside the layers there are {listed}")
    matrices = [name for name, value in tensors.items() if value.ndim == 2]
    others = [name for name, value in tensors.items() if value.ndim == 1]
    if not 1 <= len(matrices) <= 2 or len(others) > 1 or len(matrices) + len(others) < len(tensors):
        raise InputError(
            f"found {listed} beside the layers; an embedding and at most an output layer with its bias are needed"
        )
    embedding, output = _pair(tensors, matrices, d, hidden, embedding, output)
    for name in others:
        if not (_prefix(name) == _prefix(output or "") or _role(name) == "output"):
            raise InputError(f"{name} belongs to no output layer ({output or 'there is none'}); leave it out")
    if tensors[embedding].shape[1] != d:
        raise InputError(f"{embedding} has {tensors[embedding].shape[1]} numbers a token, the first layer reads {d}")
    if output is not None and tensors[output].shape[1] != hidden:
        raise InputError(f"{output} reads {tensors[output].shape[1]} numbers, the last layer gives {hidden}")
    return Roles(embedding, output, others[0] if others else None)


def _pair(
    tensors: dict[str, np.ndarray],
    matrices: list[str],
    d: int,
    hidden: int,
    embedding: str | None,
    output: str | None,
) -> tuple[str, str | None]:
    """The embedding and the output layer among one or two matrices."""
    if len(matrices) == 1:
        return matrices[0], None
    first, second = matrices
    both = {first: second, second: first}
    if embedding is not None and output is not None and embedding == output:
        return embedding, None
    if embedding is not None or output is not None:
        own = embedding or both[str(output)]
        return own, both[own]
    roles = {name: _role(name) for name in matrices}
    with_bias = [name for name in matrices if f"{_prefix(name)}bias" in tensors]
    fits = [name for name in matrices if tensors[name].shape[1] == d and tensors[both[name]].shape[1] == hidden]
    for name in matrices:
        if roles[name] == "embedding" and roles[both[name]] != "embedding":
            return name, both[name]
        if roles[name] == "output" and roles[both[name]] is None:
            return both[name], name
    if len(with_bias) == 1 and roles[first] == roles[second]:
        return both[with_bias[0]], with_bias[0]
    if len(fits) == 1:
        return fits[0], both[fits[0]]
    if fits and (tensors[first] == tensors[second]).all():
        return first, second  # tied: it does not matter which
    raise InputError(
        f"{first} and {second}: which is the embedding and which the output layer? their names and sizes do not say; "
        "give --embedding NAME"
    )


def _role(name: str) -> str | None:
    """The role that a tensor's name speaks of: the last part of it that knows one decides."""
    for part in reversed(name.lower().split(".")):
        words = {word.rstrip("0123456789") for word in re.split(r"[_\W]+", part)}
        found = [role for role, known in (("embedding", _EMBEDDING), ("output", _OUTPUT)) if words & known]
        if len(found) == 1:
            return found[0]
    return None


def _prefix(name: str) -> str:
    """A tensor's name without its last part: the module that it is of."""
    return name[: name.rfind(".") + 1]
