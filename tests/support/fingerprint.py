"""What rnnlm computes, to the last bit: a line a recipe with the hash of the trained tensors, the perplexity of a
test text, and the hash of what is scored token by token and of what is sampled.

    python tests/support/fingerprint.py > before.txt

Run it before and after a change that must not change a number, on one machine, and compare. It runs with any version
of rnnlm that can be imported, in the first format of the configuration too:

    PYTHONPATH=OTHER_CHECKOUT python tests/support/fingerprint.py
"""

from __future__ import annotations

import hashlib
import importlib
import json
import random
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

# Changes of a recipe to BASE, by dotted key, in the second format. A section that is replaced stands whole.
BASE: dict[str, Any] = {
    "embedding.size": 12,
    "model.hidden": 16,
    "model.cell": {"type": "elman", "activation": "tanh"},
    "train.bptt": 8,
    "train.batch": 4,
    "train.epochs": 2,
    "train.max_updates": 40,
    "train.optimizer": "adam",
    "train.learning_rate": 0.01,
    "train.threads": 2,
}

LSTM = {"model.cell": "lstm"}
RECIPES: dict[str, dict[str, Any]] = {
    "elman tanh": {},
    "elman sigmoid, 1 thread": {"model.cell": "elman", "train.threads": 1},
    "elman relu, float64": {
        "model.cell": {"type": "elman", "activation": "relu"},
        "train.precision": "float64",
    },
    "elman bfloat16": {"train.precision": "bfloat16"},
    "elman bfloat16, 1 thread, odd sizes": {
        "train.precision": "bfloat16",
        "train.threads": 1,
        "model.hidden": 37,
        "embedding.size": 13,
    },
    "elman by columns": {"model.hidden": 160, "train.batch": 1, "train.max_updates": 15},
    "elman by columns, bfloat16": {
        "model.hidden": 160,
        "train.batch": 1,
        "train.max_updates": 15,
        "train.precision": "bfloat16",
    },
    "gru": {"model.cell": "gru"},
    "gru float64, 1 thread": {"model.cell": "gru", "train.precision": "float64", "train.threads": 1},
    "gru bfloat16, by columns": {
        "model.cell": "gru",
        "model.hidden": 130,
        "train.batch": 1,
        "train.max_updates": 15,
        "train.precision": "bfloat16",
    },
    "gru_before": {"model.cell": "gru_before"},
    "gru_before bfloat16, reset": {
        "model.cell": "gru_before",
        "train.precision": "bfloat16",
        "train.state": "reset",
    },
    "gru_before float64": {"model.cell": "gru_before", "train.precision": "float64"},
    "lstm": LSTM,
    "lstm bfloat16, reset": {**LSTM, "train.precision": "bfloat16", "train.state": "reset"},
    "lstm peepholes, float64": {
        "model.cell": {"type": "lstm", "peepholes": True, "forget_bias": 0.5},
        "train.precision": "float64",
    },
    "lstm coupled, 2 layers of own size": {
        "model.cell": {"type": "lstm", "coupled_gates": True},
        "model.hidden": [16, 12],
    },
    "lstm coupled, peepholes, bfloat16": {
        "model.cell": {"type": "lstm", "coupled_gates": True, "peepholes": True},
        "train.precision": "bfloat16",
    },
    "mingru": {"model.cell": "mingru", "model.layers": 2},
    "mingru float64": {"model.cell": "mingru", "train.precision": "float64"},
    "scrn": {"model.cell": {"type": "scrn", "context": 5, "context_decay": 0.8}},
    "scrn bfloat16, reset": {
        "model.cell": {"type": "scrn", "context": 5},
        "train.precision": "bfloat16",
        "train.state": "reset",
    },
    "scrn float64, 1 thread": {
        "model.cell": {"type": "scrn", "context": 5},
        "train.precision": "float64",
        "train.threads": 1,
    },
    "characters": {"data.unit": "char"},
    "characters, 1 thread, sgd": {
        "data.unit": "char",
        "train.threads": 1,
        "train.optimizer": "sgd",
        "train.learning_rate": 0.5,
        "train.clip_norm": 1.0,
    },
    "characters, bfloat16, tied": {
        "data.unit": "char",
        "train.precision": "bfloat16",
        "model.tie_weights": True,
        "embedding.size": 16,
    },
    "bytes, float64": {"data.unit": "byte", "train.precision": "float64"},
    "bytes, lower case": {"data.unit": "byte", "vocab.lowercase": True},
    "few words, tied through a projection": {"vocab.max_size": 60, "model.tie_weights": True},
    "tied, dropout everywhere": {
        "model.tie_weights": True,
        "embedding.size": 16,
        "model.dropout": {
            "input": 0.2,
            "between": 0.1,
            "output": 0.3,
            "words": 0.1,
            "recurrent": 0.2,
            "variational": True,
        },
        "model.layers": 2,
    },
    "dropout, plain": {"model.dropout": 0.3, "model.layers": 2},
    "dropout, bfloat16, lstm": {**LSTM, "model.dropout": 0.4, "train.precision": "bfloat16"},
    "mixture": {"model.output": {"type": "mixture", "softmaxes": 3}},
    "mixture bfloat16, tied": {
        "model.output": {"type": "mixture", "softmaxes": 3},
        "model.tie_weights": True,
        "train.precision": "bfloat16",
    },
    "mixture float64, characters": {
        "model.output": {"type": "mixture", "softmaxes": 2},
        "data.unit": "char",
        "train.precision": "float64",
    },
    "layer_norm, penalties, label smoothing": {
        "model.layer_norm": True,
        "model.layers": 2,
        "train.penalties": {"activation": 0.5, "temporal": 0.3, "label_smoothing": 0.1},
    },
    "momentum, decay, clip_value": {
        "train.optimizer": {"type": "momentum", "momentum": 0.8, "weight_decay": 0.01},
        "train.learning_rate": 0.1,
        "train.clip_value": 0.05,
        "train.clip_norm": None,
    },
    "adagrad, linear": {
        "train.optimizer": {"type": "adagrad", "epsilon": 1e-6},
        "train.schedule": {"type": "linear", "final_rate": 0.1},
    },
    "rmsprop, cosine": {
        "train.optimizer": {"type": "rmsprop", "beta2": 0.9},
        "train.learning_rate": 0.003,
        "train.schedule": {"type": "cosine", "cycles": 2, "warmup_updates": 5},
    },
    "nadam, one_cycle": {"train.optimizer": "nadam", "train.schedule": "one_cycle"},
    "adamw, ema": {
        "train.optimizer": {"type": "adamw", "weight_decay": 0.1, "beta1": 0.5},
        "train.average": {"type": "ema", "decay": 0.9},
    },
    "lion, plateau": {
        "train.optimizer": {"type": "lion", "weight_decay": 0.1},
        "train.learning_rate": 0.002,
        "train.schedule": {"type": "plateau", "factor": 0.3, "min_improvement": 0.2},
        "train.epochs": 3,
        "train.max_updates": None,
        "train.bptt": 20,
    },
    "asgd": {
        "train.optimizer": "sgd",
        "train.learning_rate": 4.0,
        "train.average": {"type": "asgd", "patience": 1},
        "train.epochs": 5,
        "train.max_updates": None,
        "train.bptt": 30,
        "train.patience": None,
    },
    "accumulate, noise, random windows": {
        "train.accumulate": 3,
        "train.gradient_noise": 0.01,
        "train.bptt_deviation": 2.0,
    },
    "overlapping windows": {"train.bptt_stride": 3, "train.state": "reset"},
    "last loss": {"train.loss": "last", "train.bptt_stride": 2},
    "uniform start": {"model.recurrent_init": {"type": "uniform", "scale": 0.05}, **LSTM},
    "orthogonal start": {"model.recurrent_init": "orthogonal", "model.cell": "gru"},
    "identity start": {
        "model.recurrent_init": "identity",
        "model.cell": {"type": "elman", "activation": "relu"},
    },
    "xavier start": {"model.recurrent_init": "xavier", "model.cell": "elman"},
    "svd": {"embedding.init": {"type": "svd", "window": 3}},
    "skipgram, frozen": {
        "embedding.init": {"type": "skipgram", "window": 2, "negative": 3, "epochs": 1},
        "embedding.trainable": False,
    },
    "normal embedding, min_count": {
        "embedding.init": {"type": "normal", "scale": 0.3},
        "vocab.min_count": 2,
        "vocab.lowercase": True,
    },
}


def write_texts(folder: Path) -> None:
    """Lines of words by Zipf's law; some in capitals, some of the test text's not in the training text."""
    generator = random.Random(5)
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = ["".join(generator.choices(letters, range(26, 0, -1), k=generator.randint(1, 7))) for _ in range(900)]
    words[5:9] = ["The", "naïve", "“quoted”", "<unk>"]
    weights = [1 / (i + 1) for i in range(len(words))]
    for name, lines in (("train", 500), ("valid", 40), ("test", 60)):
        drawn = (generator.choices(words, weights, k=generator.randint(1, 12)) for _ in range(lines))
        (folder / f"{name}.txt").write_text("".join(" ".join(line) + "\n" for line in drawn), encoding="utf-8")


def nested(changes: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The whole configuration, in the second format."""
    values: dict[str, Any] = {
        "data": {name: str(folder / f"{name}.txt") for name in ("train", "valid", "test")},
        "run": str(folder / "run"),
    }
    for name, value in {**BASE, **changes}.items():
        section, key = name.split(".")
        values.setdefault(section, {})[key] = value
    return values


def first_format(values: dict[str, Any]) -> dict[str, Any]:
    """The same configuration in the first format."""

    def spread(section: dict[str, Any], key: str, names: dict[str, str]) -> None:
        value = section.pop(key, None)
        if value is None:
            return
        options = dict(value) if isinstance(value, dict) else {"type": value}
        section[names["type"]] = options.pop("type")
        for option, given in options.items():
            section[names.get(option, option)] = given

    def rename(section: dict[str, Any], names: dict[str, str]) -> None:
        for old, new in names.items():
            if old in section:
                section[new] = section.pop(old)

    embedding, model, train = values["embedding"], values["model"], values["train"]
    spread(embedding, "init", {"type": "init"})
    spread(model, "cell", {"type": "cell", "coupled_gates": "coupled"})
    spread(model, "output", {"type": "output", "softmaxes": "mixture"})
    spread(model, "recurrent_init", {"type": "init", "scale": "init_scale"})
    if isinstance(model.get("dropout"), dict):
        dropout = model.pop("dropout")
        named = {"words": "dropout_words", "recurrent": "dropout_weights", "variational": "variational"}
        model |= {named.get(key, f"dropout_{key}"): value for key, value in dropout.items()}
    rename(model, {"tie_weights": "tie"})
    spread(train, "optimizer", {"type": "optimizer"})
    spread(train, "schedule", {"type": "schedule", "warmup_updates": "warmup", "factor": "decay"})
    if train.get("schedule") == "plateau":
        train["schedule"] = "halve"
    spread(train, "average", {"type": "average", "decay": "average_decay", "patience": "average_after"})
    penalties = train.pop("penalties", {})
    names = {"activation": "activation_penalty", "temporal": "temporal_penalty"}
    train |= {names.get(key, key): value for key, value in penalties.items()}
    rename(train, {"max_updates": "max_steps", "clip_norm": "clip", "bptt_stride": "bptt_every"})
    return values


def has_second_format() -> bool:
    """Whether this version of rnnlm reads the second format."""
    try:
        importlib.import_module("rnnlm.config.network")
    except ImportError:
        return False
    return True


def tensors_hash(path: Path) -> str:
    """sha256 over every tensor's name, type, shape and bytes, by name; the metadata is left out."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    digest = hashlib.sha256()
    for name in sorted(header):
        first, last = header[name]["data_offsets"]
        digest.update(json.dumps([name, header[name]["dtype"], header[name]["shape"]]).encode())
        digest.update(data[8 + size + first : 8 + size + last])
    return digest.hexdigest()


def short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def fingerprint(changes: dict[str, Any], folder: Path) -> str:
    """One recipe's line."""
    import rnnlm

    values = nested(changes, folder)
    if not has_second_format():
        values = first_format(values)
    # JSON is YAML.
    config = folder / "config.json"
    config.write_text(json.dumps(values))
    for path in sorted((folder / "run").glob("*")):
        if path.is_file():
            path.unlink()
    model = rnnlm.train(str(config))
    text = (folder / "test.txt").read_text(encoding="utf-8")
    scores = model.surprisal(text)
    told = [(s.token, s.is_unk, s.log_probability, s.rank, s.entropy) for s in scores]
    plain = model.sample(prompt="The", tokens=50, seed=3)
    filtered = model.sample(prompt="The", tokens=50, seed=3, temperature=0.8, top_k=20, repetition_penalty=1.2)
    run = folder / "run"
    return (
        f"{tensors_hash(run / 'model.safetensors')[:16]} {tensors_hash(run / 'state.safetensors')[:16]} "
        f"perplexity {model.perplexity(text)!r} tokens {short(repr(told))} "
        f"sample {short(plain)} filtered {short(filtered)}"
    )


def main() -> None:
    wanted = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="rnnlm-fingerprint-") as name:
        folder = Path(name)
        write_texts(folder)
        for recipe, changes in RECIPES.items():
            if wanted and not any(part in recipe for part in wanted):
                continue
            try:
                line = fingerprint(changes, folder)
            except Exception as error:
                line = f"{type(error).__name__}: {error}"
            print(f"{recipe}: {line}", flush=True)


if __name__ == "__main__":
    main()
