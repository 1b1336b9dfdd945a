"""The fingerprint of a configuration: a hash of all settings that say what is trained."""

from __future__ import annotations

import hashlib
import json

from rnnlm.config import paths
from rnnlm.config.schema import Config

# What says nothing of the model. Texts are compared by their content.
LEFT_OUT = {"run", "train.threads", "train.checkpoint", "train.log", "train.sample", *paths.TEXTS}
# Keys of later versions, left out where they say what was done before there was one.
LATER: dict[str, object] = {
    "data.tokenizer": "whitespace", "data.encoding": "utf-8", "data.shuffle": False, "data.document": None,
    "data.subwords": None, "train.from": None, "train.freeze": [], "model.output.variance_regularization": 0.0,
    "model.output.direct": None,
}  # fmt: skip


def sha256(config: Config) -> str:
    """The SHA-256 of a configuration's settings without `LEFT_OUT` and `LATER`, in hexadecimal digits: equal where
    two configurations train the same network on texts of the same content."""
    kept = _kept(config.model_dump())
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _kept(section: dict[str, object], within: str = "") -> dict[str, object]:
    """A section without `LEFT_OUT` and `LATER`."""
    return {
        name: _kept(value, f"{within}{name}.") if isinstance(value, dict) else value
        for name, value in section.items()
        if (key := f"{within}{name}") not in LEFT_OUT and not (key in LATER and value == LATER[key])
    }
