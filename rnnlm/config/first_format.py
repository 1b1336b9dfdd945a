"""Keys of the configuration's first format, for the errors that name the new ones."""

from __future__ import annotations

from typing import Any

from rnnlm.config.base import sections
from rnnlm.config.errors import in_yaml
from rnnlm.config.schema import Config
from rnnlm.errors import ConfigError

# Old key -> new key, or new option of a section.
MOVED = {
    "data.sentences": "data.grammar.sentences",
    "embedding.file": "embedding.init.path",
    "embedding.scale": "embedding.init.scale",
    "embedding.window": "embedding.init.window",
    "embedding.negative": "embedding.init.negative",
    "embedding.epochs": "embedding.init.epochs",
    "model.activation": "model.cell.activation",
    "model.init": "model.recurrent_init",
    "model.init_scale": "model.recurrent_init.scale",
    "model.dropout_input": "model.dropout.input",
    "model.dropout_between": "model.dropout.between",
    "model.dropout_output": "model.dropout.output",
    "model.dropout_words": "model.dropout.words",
    "model.dropout_weights": "model.dropout.recurrent",
    "model.variational": "model.dropout.variational",
    "model.tie": "model.tie_weights",
    "model.mixture": "model.output.softmaxes",
    "model.peepholes": "model.cell.peepholes",
    "model.coupled": "model.cell.coupled_gates",
    "model.forget_bias": "model.cell.forget_bias",
    "model.context": "model.cell.context",
    "model.context_decay": "model.cell.context_decay",
    "train.bptt_every": "train.bptt_stride",
    "train.max_steps": "train.max_updates",
    "train.momentum": "train.optimizer.momentum",
    "train.beta1": "train.optimizer.beta1",
    "train.beta2": "train.optimizer.beta2",
    "train.epsilon": "train.optimizer.epsilon",
    "train.weight_decay": "train.optimizer.weight_decay",
    "train.cycles": "train.schedule.cycles",
    "train.warmup": "train.schedule.warmup_updates",
    "train.decay": "train.schedule.factor",
    "train.min_improvement": "train.schedule.min_improvement",
    "train.final_rate": "train.schedule.final_rate",
    "train.clip": "train.clip_norm",
    "train.average_decay": "train.average.decay",
    "train.average_after": "train.average.patience",
    "train.label_smoothing": "train.penalties.label_smoothing",
    "train.activation_penalty": "train.penalties.activation",
    "train.temporal_penalty": "train.penalties.temporal",
    "train.checkpoint_every": "train.checkpoint.every_updates",
    "train.checkpoint_minutes": "train.checkpoint.every_minutes",
    "train.log_every": "train.log.every_updates",
}

# Key and old value -> new value.
RENAMED = {("train.schedule", "halve"): "plateau", ("train.average", "none"): "null"}


def refuse(values: dict[str, Any], where: Any) -> None:
    """Refuse a configuration that has a key of the first format.

    Args:
        values: the whole configuration; where: (section, key) -> where the key stands.

    Raises:
        ConfigError: names the new key.
    """
    for section, keys in values.items():
        if not isinstance(keys, dict):
            continue
        for key, value in keys.items():
            old = f"{section}.{key}"
            if old in MOVED:
                raise ConfigError(f"{where((section, key))}: {old}: {_advice(MOVED[old], value, keys)}")
            if isinstance(value, str) and (old, value) in RENAMED:
                new = RENAMED[old, value]
                raise ConfigError(f"{where((section, key))}: {old}: {value} is called {new} now")


def _advice(new: str, value: Any, keys: dict[str, Any]) -> str:
    """What to write for an old key that had `value` and stood among `keys`."""
    section, key, *option = new.split(".")
    if not option:
        return f"called {new} now"
    taken = sections(sections(Config, section).section, key)
    default = getattr(Config.model_fields[section].default, key, None)
    own = keys.get(key, keys.get("init") if key == "recurrent_init" else None) or getattr(default, "type", None)
    own = RENAMED.get((f"{section}.{key}", str(own)), own)
    own = taken.shorthand.spell_out(own) if taken.shorthand else own
    given = own if isinstance(own, dict) else {}
    kind = str(given.get("type"))
    having = [name for name, members in taken.types.items() if option[0] in members.model_fields]
    if kind in taken.types and kind not in having:
        return f"an option of {section}.{key} now, which {kind} does not have: leave it out"
    if having and kind not in having:
        given = {"type": having[0]}
    return f"an option of {section}.{key} now: {key}: {in_yaml({**given, option[0]: value})}"
