"""Texts that are not in UTF-8: read like their UTF-8 copies, wherever a block ends."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnlm.config import encodings
from rnnlm.errors import InputError, TextError
from rnnlm.text import files, tokenizers
from rnnlm.text.lines import lines

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CODECS = {
    "iso8859-1": "aé\n\r ÿ", "cp1252": "a€\n\r ”", "koi8-r": "aж\n\r ", "shift_jis": "aア字\n\r ",
    "gb18030": "a字😀\n\r ",
    "iso2022_jp": "a字ア\n\r ", "utf-16": "a字😀\n\r ", "utf-16-le": "a字😀\n\r\u0a0d ", "utf-32": "a字\n\r ",
    "utf-8-sig": "aé\n\r ",
}  # fmt: skip


def read(path: Path, encoding: str) -> str:
    return "".join(text for text, _ in files.characters(path, encoding))


@pytest.mark.parametrize("encoding", CODECS)
@SETTINGS
@given(data=st.data(), block=st.integers(1, 7))
def test_every_codec_wherever_a_block_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, data: st.DataObject, block: int
) -> None:
    text = data.draw(st.text(st.sampled_from(list(CODECS[encoding]))))
    path, copy = tmp_path / "text.txt", tmp_path / "copy.txt"
    path.write_bytes(text.encode(encoding))
    copy.write_bytes(text.encode())
    monkeypatch.setattr(files, "_BLOCK", block)
    assert read(path, encoding) == text.replace("\r\n", "\n")
    for unit in ("word", "char"):
        mine, theirs = (
            [line for some in lines(*of) for line in some] for of in ((path, unit, encoding), (copy, unit))
        )
        assert mine == theirs
        mine, theirs = (
            [
                "".join(f"{token}|" for token in piece.tokens)
                for piece in tokenizers.pieces(of, unit, False, encoding=e)
            ]
            for of, e in ((path, encoding), (copy, "utf-8"))
        )
        assert "".join(mine) == "".join(theirs)


@pytest.mark.parametrize("block", [1, 2, 3, 1 << 20])
@pytest.mark.parametrize(
    ("encoding", "content", "message"),
    [
        ("utf-8", b"ab\ncd\xe9\n", r"not UTF-8 at byte 6 \(0xe9\) on line 2; give its own encoding .*data.encoding"),
        ("utf-8", "é\né\n".encode() + b"\xe2\x82", r"not UTF-8 at byte 7 \(0xe2\) on line 3;"),
        ("cp1252", b"a\r\n\n\x81", r"not CP1252 at byte 5 \(0x81\) on line 3;"),
        ("shift_jis", "ア\n字".encode("shift_jis") + b"\xff", r"not shift_jis at byte 6 \(0xff\) on line 2;"),
        ("utf-16", "a\nb".encode("utf-16") + b"\x00", r"not UTF-16 at byte 9 \(0x00\) on line 2;"),
        ("utf-16-le", b"\n\x00\x00\xdca\x00", r"not UTF-16-LE at byte 3 \(0x00\) on line 2;"),
        ("ascii", b"a\n\xc3\xa9", r"not ascii at byte 3 \(0xc3\) on line 2;"),
    ],
)
def test_the_byte_and_the_line_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, content: bytes, message: str, block: int
) -> None:
    monkeypatch.setattr(files, "_BLOCK", block)
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(TextError, match=f"text.txt: {message}"):
        read(path, encoding)
    if encoding != "utf-8":  # of which each line is decoded by itself
        with pytest.raises(TextError, match=f"text.txt: {message}"):
            list(lines(path, "word", encoding))


def test_utf_16_without_its_mark_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("ab".encode("utf-16-be"))
    with pytest.raises(TextError, match=r"text.txt: not UTF-16 .*BOM.*; give its own encoding"):
        read(path, "utf-16")
    assert read(path, "utf-16-be") == "ab"


def test_gzip_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "text.gz"
    path.write_bytes(gzip.compress("naïve\n".encode("latin-1")))
    assert read(path, "iso8859-1") == "naïve\n"
    assert [line.text for some in lines(path, "word", "iso8859-1") for line in some] == ["naïve"]


@pytest.mark.parametrize(("name", "own"), [("UTF8", "utf-8"), ("latin-1", "iso8859-1"), ("Windows-1252", "cp1252")])
def test_a_codec_has_one_name(name: str, own: str) -> None:
    assert encodings.codec(name) == encodings.option(name) == own


@pytest.mark.parametrize(
    "name", ["", "nonsense", "rot13", "hex", "idna", "punycode", "unicode_escape", "undefined", "utf-7", "a\0b", "ü"]
)
def test_what_is_no_encoding_of_texts(name: str) -> None:
    with pytest.raises(ValueError, match="is no encoding of texts that Python knows; give utf-8, latin-1"):
        encodings.codec(name)
    with pytest.raises(InputError, match="^--encoding: .*is no encoding of texts that Python knows"):
        encodings.option(name)


def test_bytes_are_read_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xe9\n")
    message = "--encoding: a model of bytes reads a text as it is; leave it out"
    with pytest.raises(InputError, match=message):
        list(lines(path, "byte", "cp1252"))
    with pytest.raises(InputError, match=message):
        list(tokenizers.pieces(path, "byte", False, encoding="cp1252"))
