"""Validation errors as one line: the place, the key, what was found, what would be right."""

from __future__ import annotations

import difflib
from typing import Any

from rnnlm.config.base import Section, Sections, Typed, sections
from rnnlm.config.places import Place
from rnnlm.config.schema import Config

# Names that other programs give to our keys.
SYNONYMS = {
    "lr": "train.learning_rate", "rate": "train.learning_rate", "learningrate": "train.learning_rate",
    "batch_size": "train.batch", "batchsize": "train.batch", "bs": "train.batch",
    "num_epochs": "train.epochs", "n_epochs": "train.epochs", "max_epochs": "train.epochs",
    "seq_len": "train.bptt", "seq_length": "train.bptt", "sequence_length": "train.bptt", "block_size": "train.bptt",
    "max_steps": "train.max_updates", "max_iters": "train.max_updates", "iterations": "train.max_updates",
    "optim": "train.optimizer", "optimiser": "train.optimizer", "scheduler": "train.schedule",
    "lr_scheduler": "train.schedule", "warmup_steps": "train.schedule.warmup_updates",
    "weight_decay": "train.optimizer.weight_decay", "wdecay": "train.optimizer.weight_decay",
    "clip": "train.clip_norm", "grad_clip": "train.clip_norm", "max_grad_norm": "train.clip_norm",
    "gradient_clip": "train.clip_norm", "dtype": "train.precision", "random_seed": "train.seed",
    "early_stopping": "train.patience", "workers": "train.threads", "num_threads": "train.threads",
    "n_threads": "train.threads", "grad_accumulation": "train.accumulate", "hidden_size": "model.hidden",
    "hidden_dim": "model.hidden", "n_hidden": "model.hidden", "nhid": "model.hidden", "units": "model.hidden",
    "num_layers": "model.layers", "n_layers": "model.layers", "nlayers": "model.layers", "depth": "model.layers",
    "drop": "model.dropout", "dropout_rate": "model.dropout", "p_dropout": "model.dropout",
    "rnn": "model.cell", "rnn_type": "model.cell", "cell_type": "model.cell",
    "tied": "model.tie_weights", "tie": "model.tie_weights", "tie_embeddings": "model.tie_weights",
    "embedding_size": "embedding.size", "embedding_dim": "embedding.size", "embed_dim": "embedding.size",
    "emsize": "embedding.size", "emb_size": "embedding.size", "vocab_size": "vocab.max_size",
    "min_freq": "vocab.min_count", "lower": "vocab.lowercase", "tokenizer": "data.tokenizer", "level": "data.unit",
    "output_dir": "run", "save_dir": "run", "run_dir": "run", "checkpoint_dir": "run",
}  # fmt: skip
_FEW = 12  # keys that a message still lists


def explain(error: Any, places: dict[Place, str]) -> str:
    """The error as one line.

    Args:
        error: one of ``ValidationError.errors()``; places: where each key stands.
    """
    location, section = _follow(error["loc"])
    taken = sections(section, location[-1]) if location else Sections()
    types = taken.types
    kind_of_error, found = error["type"], error["input"]
    if kind_of_error == "union_tag_invalid":
        found = found["type"]
        location = (*location, "type") if (*location, "type") in places else location
    place = _nearest(location, places)
    where, key = places[place], ".".join(location) or "configuration"
    if kind_of_error == "extra_forbidden":
        return f"{where}: {key}: unknown key; {_known(section, location[-1])}"
    if kind_of_error == "union_tag_not_found":
        return f"{where}: {key}.type: missing; must be {_one_of(types)}"
    if kind_of_error == "missing":
        field = section.model_fields[location[-1]] if section else None
        advice = field.description if field and field.description else "the section data says which text to train on"
        return f"{where}: {key}: missing; {advice}"
    # The bare value of a section stands for several options: it is the section's key that has it.
    key = ".".join(map(str, place)) if len(place) >= 2 else key
    if kind_of_error == "value_error":
        message = str(error["ctx"]["error"])
        named = message.split()[0].rstrip(":").split(".")  # such a message begins with the key, if it is of one
        where = places[_nearest((*location, *named), places)]
        return f"{where}: {key}: {message}" if location else f"{where}: {message}"
    if types:
        section_too = "" if kind_of_error == "union_tag_invalid" else ", or a section with a type"
        return f"{where}: {key}: found {kind(found)}; must be {_one_of(types)}{section_too}"
    message = (
        error["msg"].replace("Input should be", "must be").replace("valid ", "").replace("a integer", "an integer")
    )
    if kind_of_error.startswith(("model_", "dict_")):
        bare = "" if taken.shorthand is None else "a name, or " if "type" in taken.shorthand.keys else "a number, or "
        message = f"must be {bare}a section of key: value lines"
    return f"{where}: {key}: found {kind(found)}; {message}"


def _nearest(location: Place, places: dict[Place, str]) -> Place:
    """The longest part of a location of which it is known where it stands."""
    while location and location not in places:
        location = location[:-1]
    return location


def kind(value: Any) -> str:
    """What was found, in words."""
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return f"the list {value}"
    return "nothing" if value is None else repr(value) if isinstance(value, str) else str(value)


def in_yaml(value: Any) -> str:
    """A value as one writes it in YAML, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {in_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(in_yaml, value)) + "]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _follow(loc: tuple[Any, ...]) -> tuple[tuple[str, ...], type[Section] | None]:
    """The keys that lead to an error, and the section that the last one stands in.

    pydantic's location has more: the type of a section that has one, members of unions, positions in lists.
    """
    keys: list[str] = []
    section: type[Section] | None = None
    inner: type[Section] | None = Config
    types: dict[str, type[Section]] = {}
    for part in loc:
        if inner is not None:
            keys.append(str(part))
            section, taken = inner, sections(inner, str(part))
            inner, types = taken.section, taken.types
        elif part in types:
            inner, types = types[part], {}
    return tuple(keys), section


def _known(section: type[Section] | None, key: str) -> str:
    """What the keys of a section are, for one that is not among them: by the names that others give it, by the same
    name in another section, by its spelling."""
    known = [name for name in section.model_fields if name != "type"] if section else []
    name = key.lower().replace("-", "_")
    if meant := SYNONYMS.get(name):
        *above, last = meant.split(".")
        return f"did you mean {last if last in known and section in _sections_at(above) else meant}?"
    if near := difflib.get_close_matches(key, known, 1, 0.6):
        return f"did you mean {near[0]}?"
    if elsewhere := _elsewhere(name):
        return f"did you mean {elsewhere}?"
    if section is not None and issubclass(section, Typed):
        return f"{section.model_fields['type'].default} has {', '.join(known) or 'no options'}"
    if len(known) > _FEW:
        near = difflib.get_close_matches(key, known, 3, 0.3)
        likely = f"likely ones are {', '.join(near)}; " if near else ""
        return f"{likely}rnnlm config show lists all {len(known)} keys here"
    return f"the keys here are {', '.join(known)}"


def _sections_at(keys: list[str]) -> list[type[Section] | None]:
    """The section at these keys: one class, or one for each of its types."""
    inner: type[Section] | None = Config
    types: list[type[Section] | None] = []
    for key in keys:
        taken = sections(inner, key)
        inner, types = taken.section, list(taken.types.values())
    return [inner, *types] if inner is not None else types


def _elsewhere(key: str) -> str | None:
    """Where the configuration has this very key: alone, or in one of its sections."""
    if key in Config.model_fields:
        return key
    found = [
        f"{name}.{key}" for name in Config.model_fields for s in _sections_at([name]) if s and key in s.model_fields
    ]
    return found[0] if len(found) == 1 else None


def _one_of(types: dict[str, Any]) -> str:
    *names, last = map(repr, types)
    return f"{', '.join(names)} or {last}"
