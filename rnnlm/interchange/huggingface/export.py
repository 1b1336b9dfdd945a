"""Export of a model as a folder that transformers loads, with code, tokenizer and model card.

    config.json               the network, and where its code is (``auto_map``)
    modeling_rnnlm.py         the code, a copy of the file beside this one
    model.safetensors         the weights, by the names of that code
    generation_config.json    the tokens that begin and end a text, and that pad
    tokenizer.json, tokenizer_config.json
    README.md                 the model card: what the network is, and what its perplexity stands on

transformers takes it with ``trust_remote_code=True``; nothing of rnnlm need be installed there. The vocabulary has
one token more than ours, the last, which pads: its row of the table is 0, and its bias so low that its probability
is 0.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from rnnlm.config.network import Mixture
from rnnlm.errors import InputError
from rnnlm.files.atomic import atomic_write
from rnnlm.files.model_file import Trained
from rnnlm.interchange import whole_words
from rnnlm.interchange.huggingface import card, tokenizer
from rnnlm.interchange.sampled import as_softmax
from rnnlm.network import build
from rnnlm.network import parameters as model

Tensors = dict[str, np.ndarray]

FILES = (
    "README.md", "modeling_rnnlm.py", "tokenizer.json", "tokenizer_config.json", "generation_config.json",
    "model.safetensors", "config.json",
)  # fmt: skip
_CODE = Path(__file__).with_name("modeling_rnnlm.py")
_CELLS = ("elman", "gru", "gru_before", "lstm", "mingru", "scrn")
_OUTPUTS = ("softmax", "mixture")
_NO_PROBABILITY = -1e9  # the bias of the token that pads


def export(trained: Trained, folder: Path) -> list[str]:
    """Write a model's folder; returns its files. ``config.json`` comes last: without it nothing is loaded.

    Raises:
        InputError: the code has no such cell, output layer or tokenizer; ResourceError: a file cannot be written.
    """
    trained = as_softmax(trained)
    _check(trained)
    words, tensors = trained.vocabulary, to_transformers(trained)
    settings = config(trained, tensors)
    texts = {
        "README.md": card.card(trained, folder.name),
        "modeling_rnnlm.py": _CODE.read_text(encoding="utf-8"),
        "tokenizer.json": _json(tokenizer.tokenizer(words)),
        "tokenizer_config.json": _json(tokenizer.settings(words)),
        "generation_config.json": _json({key: settings[key] for key in _special(trained)}),
        "config.json": _json(settings),
    }
    for name in FILES:
        with atomic_write(folder / name) as file:
            file.write(_packed(tensors) if name == "model.safetensors" else texts[name].encode("utf-8"))
    return list(FILES)


def to_transformers(trained: Trained) -> Tensors:
    """The state dict of ``modeling_rnnlm.RnnlmForCausalLM``."""
    parameters = dict(trained.parameters)
    table = parameters.pop(model.TABLE)
    found = {"model.embedding.weight": np.pad(table, ((0, 1), (0, 0)))}
    for layer, cell in enumerate(build.cells(trained.config)):
        zero = np.zeros(cell.state_size, table.dtype)
        found[f"model.cells.{layer}.initial"] = zero if trained.initial is None else trained.initial[layer]
    for name, value in parameters.items():
        kind, *rest = name.split(".")
        if kind == "cell":
            found[f"model.cells.{'.'.join(rest)}"] = value
        elif kind == "norm":
            found[f"model.norms.{rest[0]}.{'weight' if rest[1] == 'g' else 'bias'}"] = value
        elif name == model.U:
            found[name] = np.pad(value, ((0, 0), (0, 1)))
        else:
            found[name] = np.append(value, value.dtype.type(_NO_PROBABILITY)) if name == model.B2 else value
    return found


def config(trained: Trained, tensors: Tensors) -> dict[str, Any]:
    """``config.json``; tensors: those of `to_transformers`."""
    settings, train = trained.config.model, trained.config.train
    code = "modeling_rnnlm.Rnnlm"
    return {
        "model_type": "rnnlm",
        "architectures": ["RnnlmForCausalLM"],
        "auto_map": {
            "AutoConfig": f"{code}Config",
            "AutoModel": f"{code}Model",
            "AutoModelForCausalLM": f"{code}ForCausalLM",
        },
        "dtype": str(tensors["model.embedding.weight"].dtype),
        "vocab_size": len(trained.vocabulary) + 1,
        "embedding_size": trained.config.embedding.size,
        "hidden_sizes": list(settings.sizes),
        "cell": settings.cell.type,
        "cell_options": settings.cell.model_dump(exclude={"type", "forget_bias"}),
        "cell_shapes": [_shapes(tensors, f"model.cells.{layer}.") for layer in range(len(settings.sizes))],
        "output_shapes": _shapes(tensors, "output."),
        "softmaxes": settings.output.softmaxes if isinstance(settings.output, Mixture) else 1,
        "layer_norm": settings.layer_norm,
        "tied_embeddings": settings.tie_weights,
        "reset_at_line_end": train.state == "reset",
        **_special(trained),
    }


def _special(trained: Trained) -> dict[str, int]:
    """The ids of the tokens that begin and end a text, and that pad."""
    end = trained.vocabulary.line_end
    return {"bos_token_id": end, "eos_token_id": end, "pad_token_id": len(trained.vocabulary)}


def _shapes(tensors: Tensors, prefix: str) -> dict[str, list[int]]:
    """The shapes of the tensors below a prefix."""
    return {
        name.removeprefix(prefix): list(value.shape) for name, value in tensors.items() if name.startswith(prefix)
    }


def _check(trained: Trained) -> None:
    whole_words.check(trained, "hf")
    settings = trained.config.model
    if trained.config.data.document is not None:
        raise InputError("the export to hf has no code for data.document, after which the hidden state begins anew")
    for what, name, known in (
        ("cell", settings.cell.type, _CELLS),
        ("output layer", settings.output.type, _OUTPUTS),
    ):
        if name not in known:
            raise InputError(f"the export to hf has no code for the {what} {name}; it has it for {', '.join(known)}")


def _packed(tensors: Tensors) -> bytes:
    from safetensors.numpy import save

    return save({name: np.ascontiguousarray(value) for name, value in tensors.items()}, {"format": "pt"})


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
