"""Keys that all files of own numbers have: the activation function, and the targets of the steps."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import PlainValidator

Activation = Literal["tanh", "sigmoid", "relu"]


def _target(value: Any) -> int | tuple[int, ...]:
    indices = value if isinstance(value, list) else [value]
    if not indices or not all(type(one) is int and 0 <= one < 2**31 for one in indices):
        raise ValueError(f"found {value!r}; must be the index of a token, from 0, or a list of one for each step")
    return tuple(indices) if isinstance(value, list) else int(value)


# The index, from 0, of the token that comes after the last step, the only one with a loss; or of each step's.
Target = Annotated[int | tuple[int, ...], PlainValidator(_target)]
