"""Arguments in each other's place: what a file is instead of what was asked for, and what to type.

A path whose kind is not certain is left to the command.
"""

from __future__ import annotations

import codecs
import re
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from rnnlm.errors import InputError

_SECTION = re.compile(r"^(data|vocab|embedding|model|train|run)\s*:", re.MULTILINE)


class Kind(Enum):
    """What lies at a path, in words."""

    run = "a run's folder"
    model = "a trained model"
    configuration = "a configuration"
    pytorch = "a PyTorch file"
    text = "a text"


def kind_of(path: Path) -> Kind | None:
    """What lies at a path, by its first bytes; None: nothing, or it cannot be told. Pipes are not read."""
    if path.is_dir():
        return Kind.run if any((path / f"{name}.safetensors").is_file() for name in ("model", "state")) else None
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            head = file.read(4096)
        size = path.stat().st_size
    except OSError:
        return None
    if path.suffix in (".pt", ".pth", ".ckpt") or head[:2] == b"\x80\x02":
        return Kind.pytorch
    if path.suffix == ".safetensors" or (head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size):
        return Kind.model
    if not head:
        return None
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=size <= len(head))
    except UnicodeDecodeError:
        return Kind.text if head[:2] == b"\x1f\x8b" else None
    if is_yaml(path):
        return Kind.configuration
    if "\0" in text:
        return None
    return Kind.configuration if _SECTION.search(text) else Kind.text


def config_argument(context: typer.Context, value: Any) -> Any:
    """The callback of an argument that is a CONFIG.

    Raises:
        InputError: it is something else, and what to type.
    """
    path = Path(str(value))
    kind = kind_of(path)
    if kind in (None, Kind.configuration) or value is None:
        return value
    advice = f"rnnlm init {path} writes a configuration for it, and rnnlm train takes that"
    if kind is Kind.run:
        resume = " --resume" if context.info_name == "train" else ""
        advice = f"rnnlm {context.info_name} {path / 'config.yaml'}{resume} takes the run's own"
    elif kind is not Kind.text:
        advice = "give the YAML file, or one of our recipes (quickstart)"
    raise InputError(f"{path}: {kind.value}, where a configuration belongs; {advice}")


def config_or_model_argument(context: typer.Context, value: Any) -> Any:
    """The callback of an argument that is a CONFIG or a MODEL."""
    return value if kind_of(Path(str(value))) in (Kind.run, Kind.model) else config_argument(context, value)


def model_argument(context: typer.Context, value: Any) -> Any:
    """The callback of an argument that is a MODEL.

    Raises:
        InputError: as `config_argument`.
    """
    path, command = Path(str(value)), context.info_name
    kind = kind_of(path)
    if kind in (None, Kind.run, Kind.model) or value is None:
        return value
    if kind is Kind.text:
        advice = f"the MODEL comes first: rnnlm {command} MODEL" + (f" {path}" if command != "sample" else "")
    elif kind is Kind.configuration:
        advice = f"rnnlm train {path} makes a run, and rnnlm {command} {_run_of(path)} takes that"
    else:
        advice = "rnnlm import makes a model of a state dict in a safetensors file"
    raise InputError(f"{path}: {kind.value}, where a trained model belongs; {advice}")


def is_yaml(path: Path) -> bool:
    """Whether a file is YAML by its name."""
    return path.suffix in (".yaml", ".yml")


def model_or_numbers_argument(context: typer.Context, value: Any) -> Any:
    """The callback of an argument that is a MODEL or a YAML file of numbers, which is no configuration.

    Raises:
        InputError: as `model_argument`.
    """
    path = Path(str(value))
    if value is not None and is_yaml(path) and not (path.is_file() and _SECTION.search(_beginning(path))):
        return value
    return model_argument(context, value)


def _beginning(path: Path) -> str:
    return path.read_bytes()[:4096].decode(errors="replace")


def state_dict_argument(context: typer.Context, value: Any) -> Any:
    """The callback of an argument that is a state dict.

    Raises:
        InputError: it is not there; it is a pickle, and how to save it otherwise.
    """
    path = Path(str(value))
    if not path.exists():
        raise InputError(f"{path}: no such file; give PyTorch's state dict in a safetensors file")
    if kind_of(path) is Kind.pytorch:
        raise InputError(
            f"{path}: a PyTorch file, which can run code when it is read; save the weights without, in Python: "
            f'safetensors.torch.save_file(model.state_dict(), "{path.with_suffix(".safetensors").name}")'
        )
    return value


def _run_of(path: Path) -> str:
    """The run's folder that a configuration names."""
    from rnnlm.config import file as config_file
    from rnnlm.errors import ConfigError

    try:
        return config_file.load(path).run
    except ConfigError:
        return "RUN"
