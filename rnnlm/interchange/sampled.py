"""A softmax that was trained by samples, as the full softmax that it is in scoring."""

from __future__ import annotations

import dataclasses

import numpy as np

from rnnlm.config.network import Sampled, Softmax
from rnnlm.files.model_file import Trained
from rnnlm.network import parameters as model


def as_softmax(trained: Trained) -> Trained:
    """The model with ``model.output: softmax`` where it has ``sampled``, and U as that has it, D_h x |V|; with direct
    connections, or another output layer, the model itself."""
    output = trained.config.model.output
    if not isinstance(output, Sampled) or output.direct is not None:
        return trained
    network = trained.config.model.model_copy(update={"output": Softmax()})
    parameters = dict(trained.parameters)
    if model.U in parameters:
        parameters[model.U] = np.ascontiguousarray(parameters[model.U].T)
    config = trained.config.model_copy(update={"model": network})
    return dataclasses.replace(trained, config=config, parameters=parameters)
