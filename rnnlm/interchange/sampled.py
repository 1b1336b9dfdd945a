"""A softmax that was trained by samples, as the full softmax that it is in scoring."""

from __future__ import annotations

import dataclasses

import numpy as np

from rnnlm.config.network import Sampled, Softmax
from rnnlm.errors import InputError
from rnnlm.files.model_file import Trained
from rnnlm.network import parameters as model


def as_softmax(trained: Trained) -> Trained:
    """The model with ``model.output: softmax`` where it has ``sampled``, and U as that has it, D_h x |V|; else the
    model itself.

    Raises:
        InputError: it has direct connections, which no export holds.
    """
    output = trained.config.model.output
    if not isinstance(output, Sampled):
        return trained
    if output.direct is not None:
        raise InputError("no export holds direct n-gram connections (model.output.direct)")
    network = trained.config.model.model_copy(update={"output": Softmax()})
    parameters = dict(trained.parameters)
    if model.U in parameters:
        parameters[model.U] = np.ascontiguousarray(parameters[model.U].T)
    config = trained.config.model_copy(update={"model": network})
    return dataclasses.replace(trained, config=config, parameters=parameters)
