"""Encodings of texts, by the names that Python's codecs have."""

from __future__ import annotations

import codecs

from rnnlm.errors import InputError

UTF_8 = "utf-8"
# Codecs that are no encodings of texts, though Python says so.
_NO_TEXT = ("idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7")


def codec(name: str) -> str:
    """Python's own name of an encoding: utf-8 of UTF8, iso8859-1 of latin-1.

    Raises:
        ValueError: there is no such encoding.
    """
    try:
        found = codecs.lookup(name)
        known = found._is_text_encoding and found.name not in _NO_TEXT
    except (LookupError, ValueError):
        known = False
    if not known:
        raise ValueError(
            f"{name!r} is no encoding of texts that Python knows; give utf-8, latin-1, cp1252, utf-16 ..."
        )
    return found.name


def option(name: str) -> str:
    """`codec`, of an option.

    Raises:
        InputError: there is no such encoding.
    """
    try:
        return codec(name)
    except ValueError as error:
        raise InputError(f"--encoding: {error}") from None


def display(encoding: str) -> str:
    """A codec's name for messages: UTF-8 of utf-8."""
    return encoding.upper() if encoding.startswith(("utf", "cp", "iso")) else encoding


def readable(text: str) -> str:
    """`text` with U+FFFD for bytes that are no UTF-8, which stand in it as surrogates (``errors="surrogateescape"``):
    no other program takes those.

    Raises:
        UnicodeEncodeError: it has other surrogates.
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
