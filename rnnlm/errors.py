"""Every error that rnnlm raises on purpose.

    RnnlmError                 exit status 1: something that the user cannot mend
    ├── InputError             exit status 2: a file, a text or an argument that the user can mend
    │   ├── ConfigError        a key of the YAML file or of ``--set``
    │   ├── TextError          a text or vocabulary file
    │   └── ModelError         a model file or a run folder
    ├── NotFiniteError         training met a loss or gradient that is not finite
    └── ResourceError          too little memory or disk; the network was refused

A message is one line: the file, the line or the key; what was found; what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

_LINE_BREAK = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")  # as str.splitlines has them


class RnnlmError(Exception):
    """Base of all errors; its text is one line for the user, whatever the keys and names in it hold."""

    exit_status = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(_LINE_BREAK.sub(lambda found: found[0].encode("unicode_escape").decode(), message))


class InputError(RnnlmError):
    exit_status = 2


class ConfigError(InputError):
    pass


class TextError(InputError):
    pass


class ModelError(InputError):
    pass


class NotFiniteError(RnnlmError):
    pass


class ResourceError(RnnlmError):
    pass


# What an option of the command line is in Python, where it is not the keyword of the same name.
_IN_PYTHON = {"--resume": "resume=True", "--restart": "restart=True", "--set": "overrides"} | dict.fromkeys(
    ("--run DIR", "--run"), "overrides={'run': 'DIR'}"
)
_OPTION = re.compile(r"(?<![\w-])(--run DIR|--[a-z][a-z-]*)")


@contextmanager
def in_python() -> Iterator[None]:
    """Inside the block, and in a function that this decorates, messages name Python's keywords where those of the
    command line name its options."""
    try:
        yield
    except RnnlmError as error:
        error.args = (_OPTION.sub(_keyword, str(error)),)
        raise


def _keyword(option: re.Match[str]) -> str:
    return _IN_PYTHON.get(option[0], option[0].removeprefix("--").replace("-", "_"))
