"""Weights from and for PyTorch: the state dict of nn.RNN, nn.GRU or nn.LSTM.

The modules are

    embedding = nn.Embedding(|V|, d)
    rnn = nn.RNN(d, D_h, layers), nn.GRU or nn.LSTM
    output = nn.Linear(D_h, |V|)

and the file is a safetensors file. PyTorch has column vectors, so its matrices are ours transposed. It has two biases
where we have their sum; of a GRU's candidate it needs both, since ``bh`` is inside the reset gate. Names:

    embedding.weight (|V| x d)          embedding.table
    rnn.weight_ih_l0 (G D_h x d)        cell.0.I'            rnn.bias_ih_l0    cell.0.b1
    rnn.weight_hh_l0 (G D_h x D_h)      cell.0.H'            rnn.bias_hh_l0    0; for a GRU's n: cell.0.bh
    output.weight (|V| x D_h)           output.U'            output.bias       output.b2

ESPnet's SequentialRNNLM has the same modules under other names: encoder, rnn, decoder (`ESPNET`).

A model's initial state stands in the metadata (``initial_state``, of each layer a list of numbers: h; an LSTM's h and
c behind one another).

`import_` takes any names before ``weight_ih_l0``, and for the embedding and the output layer those of ``roles``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnlm.config import file as config_file
from rnnlm.config.network import Elman, Lstm
from rnnlm.config.schema import Config
from rnnlm.errors import ConfigError, InputError
from rnnlm.files import model_file
from rnnlm.files import tensors as storage
from rnnlm.files.model_file import Trained
from rnnlm.interchange import roles
from rnnlm.interchange.sampled import as_softmax
from rnnlm.network import build
from rnnlm.network import parameters as model
from rnnlm.text import vocabulary as vocabulary_file
from rnnlm.text.tokenizers import tokens
from rnnlm.text.vocabulary import Vocabulary

Tensors = dict[str, np.ndarray]

# The names of the modules.
NAMES = {"embedding": "embedding", "rnn": "rnn", "output": "output"}
ESPNET = {"embedding": "encoder", "rnn": "rnn", "output": "decoder"}

# Which module of torch.nn has the cell's equations; blocks of D_h columns.
_BLOCKS = {1: "elman", 3: "gru", 4: "lstm"}


def export(trained: Trained, path: str | Path, names: Mapping[str, str] = NAMES) -> Tensors:
    """Write a model's weights as PyTorch's; returns them. The file's metadata has the configuration, the vocabulary
    and the initial state: as a tensor ``load_state_dict`` would refuse it.

    Args:
        names: of the modules, `NAMES` or `ESPNET`.

    Raises:
        InputError: torch.nn has no such network; ResourceError: the file cannot be written.
    """
    trained = as_softmax(trained)
    made = to_pytorch(trained.config, trained.parameters)
    tensors = {}
    for name, value in made.items():
        module, _, own = name.partition(".")
        tensors[f"{names[module]}.{own}"] = value
    storage.write_tensors(path, tensors, model_file.exported_header(trained))
    return tensors


def to_pytorch(config: Config, parameters: Tensors) -> Tensors:
    """The state dict, by PyTorch's names.

    Raises:
        InputError: torch.nn has no such network.
    """
    _check(config)
    result = {"embedding.weight": parameters[model.TABLE]}
    for layer, hidden in enumerate(config.model.sizes):
        own = {name: parameters[f"cell.{layer}.{name}"] for name in ("I", "H", "b1")}
        state_bias = np.zeros_like(own["b1"])
        if config.model.cell.type == "gru":
            state_bias[2 * hidden :] = parameters[f"cell.{layer}.bh"]
        result |= {
            f"rnn.weight_ih_l{layer}": own["I"].T,
            f"rnn.weight_hh_l{layer}": own["H"].T,
            f"rnn.bias_ih_l{layer}": own["b1"],
            f"rnn.bias_hh_l{layer}": state_bias,
        }
    tied = config.model.tie_weights
    result["output.weight"] = parameters[model.TABLE].copy() if tied else parameters[model.U].T
    result["output.bias"] = parameters[model.B2]
    return result


def _check(config: Config) -> None:
    settings, cell = config.model, config.model.cell
    wrong = None
    if cell.type not in _BLOCKS.values():
        wrong = f"cell: {cell.type}"
    elif isinstance(cell, Elman) and cell.activation == "sigmoid":
        wrong = "activation: sigmoid (nn.RNN has tanh and relu)"
    elif isinstance(cell, Lstm) and (cell.peepholes or cell.coupled_gates):
        wrong = "peepholes" if cell.peepholes else "coupled gates"
    elif settings.layer_norm:
        wrong = "layer_norm"
    elif len(set(settings.sizes)) > 1:
        wrong = f"layers of different sizes ({', '.join(map(str, settings.sizes))})"
    elif settings.output.type != "softmax":
        wrong = f"output: {settings.output.type}"
    elif settings.tie_weights and config.embedding.size != settings.sizes[-1]:
        wrong = f"a projection to tied weights ({settings.sizes[-1]} to {config.embedding.size})"
    if wrong is not None:
        raise InputError(f"PyTorch has no module for this model: {wrong}")


class Imported(NamedTuple):
    """A network as it was read."""

    config: Config
    vocabulary: Vocabulary
    parameters: Tensors
    initial: list[np.ndarray] | None = None


def save(made: Imported, path: str | Path) -> None:
    """Write it as a model file, for ``eval``, ``sample`` and the others."""
    training = {"updates": 0, "epoch": 0}
    model_file.save_model(Path(path), made.config, made.vocabulary, made.parameters, training, made.initial)


def read_vocabulary(path: str | Path, unit: str, lowercase: bool) -> Vocabulary:
    """A vocabulary file, in its own order."""
    return vocabulary_file.load(path, unit, lowercase)


def import_own(path: str | Path) -> Imported:
    """What `export` wrote, vocabulary and all.

    Raises:
        InputError: see `import_`; ModelError: the file is damaged, or not from `export`.
    """
    if not storage.is_ours(path):
        raise InputError(f"{path}: has no vocabulary in its metadata (rnnlm export writes it); give --vocab FILE")
    metadata = storage.read_metadata(path)
    config, words = model_file.read_header(path, metadata)
    cell = config.model.cell
    activation = cell.activation if isinstance(cell, Elman) else "tanh"
    made = import_(path, words, config.data.unit, activation, config.train.state)
    dtype, given = made.parameters[model.TABLE].dtype, metadata.get("initial_state")
    if given is None:
        return made
    try:
        initial = [np.array(state, dtype) for state in given]
        wanted = {f"initial.{layer}": (c.state_size,) for layer, c in enumerate(build.cells(made.config))}
        storage.check(dict(zip(wanted, initial, strict=True)), wanted, dtype)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged: the initial state in its header: {error}") from None
    return made._replace(initial=initial)


def import_(
    path: str | Path,
    vocabulary: Vocabulary,
    unit: str,
    activation: str = "tanh",
    state: str = "carry",
    embedding: str | None = None,
    output: str | None = None,
) -> Imported:
    """A network from PyTorch's state dict in a safetensors file.

    Args:
        vocabulary: row i of the embedding is token i.
        unit: of the tokens: word, char, byte; activation: of an nn.RNN; state: carry or reset at line ends.
        embedding, output: the names of these matrices, where `roles` cannot tell them apart.

    Raises:
        InputError: no such file, or not these modules' weights, or they do not fit the vocabulary.
    """
    tensors = storage.read_plain(path)
    for name, value in tensors.items():
        if not np.issubdtype(value.dtype, np.floating):
            raise InputError(
                f"{path}: {name} has numbers of type {value.dtype}; weights are float32, float64, float16"
            )
        if not storage.is_finite(value):
            raise InputError(f"{path}: {name} holds numbers that are not finite (NaN or infinity)")
    try:
        return _assembled(tensors, vocabulary, unit, activation, state, embedding, output)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _assembled(
    tensors: Tensors, vocabulary: Vocabulary, unit: str, activation: str, state: str, embedding: str | None,
    output: str | None,
) -> Imported:  # fmt: skip
    first = next((name for name in tensors if name.endswith("weight_ih_l0")), None)
    if first is None:
        raise InputError("no tensor ...weight_ih_l0; give the state dict of nn.RNN, nn.GRU or nn.LSTM")
    prefix = first.removesuffix("weight_ih_l0")
    own = re.compile(re.escape(prefix) + r"(?:weight|bias)_(?:ih|hh|hr)_l\d+(?:_reverse)?")
    rnn = {name.removeprefix(prefix): tensors.pop(name) for name in list(tensors) if own.fullmatch(name)}
    if any("reverse" in name or "weight_hr" in name for name in rnn):
        raise InputError("a bidirectional or projected network is no language model of ours")
    layers = 1 + max(int(name.rpartition("_l")[2]) for name in rnn)
    biases = ("bias_ih", "bias_hh") if any(name.startswith("bias") for name in rnn) else ()
    for layer in range(layers):
        for part in ("weight_ih", "weight_hh", *biases):
            if f"{part}_l{layer}" not in rnn:
                raise InputError(f"the tensor {prefix}{part}_l{layer} is missing")
    if rnn["weight_ih_l0"].ndim != 2 or rnn["weight_hh_l0"].ndim != 2 or not rnn["weight_hh_l0"].size:
        raise InputError(f"{first} and {prefix}weight_hh_l0 are no matrices")
    d, hidden = rnn["weight_ih_l0"].shape[1], rnn["weight_hh_l0"].shape[1]
    rows = len(rnn["weight_ih_l0"])
    cell = _BLOCKS.get(rows // hidden)
    if cell is None or rows % hidden:
        raise InputError(f"{first} has {rows} rows for {hidden} units; not 1, 3 or 4 times")
    for own_name, tensor in rnn.items():
        below = d if own_name == "weight_ih_l0" else hidden
        needed = (rows, below) if own_name.startswith("weight") else (rows,)
        if tensor.shape != needed:
            raise InputError(f"{prefix}{own_name} is {tensor.shape}; {needed} is needed")
    found_roles = roles.find(tensors, d, hidden, embedding, output)
    for name in (found_roles.embedding, found_roles.output):
        if name is not None and len(tensors[name]) != len(vocabulary):
            rows, size = len(tensors[name]), len(vocabulary)
            raise InputError(f"{name} has {rows:,} rows, the vocabulary {size:,} tokens{_hint(vocabulary)}")
    table = tensors[found_roles.embedding]
    weights = None if found_roles.output is None else tensors[found_roles.output]
    if weights is None and table.shape[1] != hidden:
        raise InputError(
            f"no output layer, and the embedding ({table.shape[1]} numbers a token) cannot stand for it: "
            f"the last layer gives {hidden}"
        )
    tied = weights is None or (weights.shape == table.shape and bool((weights == table).all()))
    config = _config(cell, hidden, layers, d, tied, unit, vocabulary.lowercase, activation, state)
    dtype = np.dtype(config.train.dtype)
    bias = np.zeros(len(vocabulary), table.dtype) if found_roles.bias is None else tensors[found_roles.bias]
    found: Tensors = {model.TABLE: table, model.B2: bias}
    if not tied:
        assert weights is not None
        found[model.U] = weights.T
    for layer in range(layers):
        found |= {f"cell.{layer}.{name}": value for name, value in _layer(rnn, layer, cell, hidden).items()}
    parameters = {}
    for name, shape in build.shapes(config, len(vocabulary)).items():
        if found[name].shape != shape:
            raise InputError(f"{name} would be {found[name].shape}; {shape} is needed")
        with np.errstate(over="ignore"):
            parameters[name] = np.array(found[name], dtype, order="C")
        if not storage.is_finite(parameters[name]):
            raise InputError(f"{name} would hold numbers too large for {dtype}")
    return Imported(config, vocabulary, parameters)


def _hint(vocabulary: Vocabulary) -> str:
    """What may be wrong with a vocabulary that has another number of tokens than the embedding rows."""
    for own, names in ((tokens.LINE_END, ("<eos>", "<EOS>", "[EOS]")), (tokens.UNKNOWN, ("<UNK>", "[UNK]", "<oov>"))):
        for name in names:
            if name in vocabulary:
                return f"; {own} was added to it: if {name} has that meaning, write {own} in its place"
    return ""


def _layer(rnn: Tensors, layer: int, cell: str, hidden: int) -> Tensors:
    I, H = rnn[f"weight_ih_l{layer}"].T, rnn[f"weight_hh_l{layer}"].T
    nothing = np.zeros(I.shape[1], I.dtype)
    b1, state_bias = (rnn.get(f"bias_{part}_l{layer}", nothing).copy() for part in ("ih", "hh"))
    result = {"I": I, "H": H}
    if cell == "gru":
        result["bh"] = state_bias[2 * hidden :].copy()
        state_bias[2 * hidden :] = 0
    result["b1"] = b1 + state_bias
    return result


def _config(
    cell: str, hidden: int, layers: int, d: int, tied: bool, unit: str, lowercase: bool, activation: str, state: str
) -> Config:
    own = {"type": cell, "activation": activation} if cell == "elman" else {"type": cell}
    network: dict[str, Any] = {"cell": own, "hidden": hidden, "layers": layers, "tie_weights": tied}
    try:
        return config_file.validate(
            {
                "data": {"train": "imported", "unit": unit},
                "vocab": {"lowercase": lowercase},
                "embedding": {"size": d},
                "model": network,
                "train": {"state": state},
            }
        )
    except ConfigError as error:
        raise InputError(str(error)) from None
