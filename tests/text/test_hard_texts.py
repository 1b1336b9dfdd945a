"""Texts that are not as one would wish: each gives a clear error or a right result."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from reading import build, characters, encode, tokens

from rnnlm.errors import TextError
from rnnlm.text import files, tokenizers, vocabulary
from rnnlm.text.files import sha256


@pytest.fixture
def text(tmp_path: Path) -> Path:
    return tmp_path / "text.txt"


def test_a_line_of_random_bytes(text: Path) -> None:
    """300 tokens of bytes that are no UTF-8: the first bad byte is named; as bytes they are a text like any other."""
    generator = random.Random(1)
    alphabet = [byte for byte in range(256) if chr(byte) not in " \t\n\r\x0b\x0c"]
    line = b" ".join(bytes(generator.choices(alphabet, k=4)) for _ in range(300))
    text.write_bytes(line)
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        place = error.start + 1
    for unit in ("word", "char"):
        with pytest.raises(
            TextError, match=rf"text.txt: not UTF-8 at byte {place} \(0x[0-9a-f]{{2}}\) on line 1; .*unit: byte"
        ):
            tokens(text, unit)
    assert "".join(tokens(text, "byte")).encode("latin-1") == line
    encoded = encode(text, build(text, "byte"))
    assert encoded.counts.unknown == 0
    assert len(encoded) == len(line)


@pytest.mark.parametrize("size", range(1, 8))
def test_the_byte_is_named_wherever_a_block_ends(text: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_BLOCK", size)
    good = "aé€😀b".encode()
    for bad, place in (
        (good + b"\xff", len(good) + 1),
        (good + b"\xe2\x82x", len(good) + 1),
        (good + b"\xf0\x9f", len(good) + 1),
    ):
        text.write_bytes(bad)
        with pytest.raises(TextError, match=f"at byte {place} "):
            tokens(text, "char")


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_an_empty_file(text: Path, unit: str) -> None:
    text.write_bytes(b"")
    with pytest.raises(TextError, match=r"text.txt: empty"):
        build(text, unit)
    words = vocabulary.select(vocabulary.Counter("ab"), unit, False, 1, None)
    with pytest.raises(TextError, match=r"text.txt: empty"):
        encode(text, words)
    assert not list(text.parent.rglob("*.ids"))
    assert not list(text.parent.rglob("*.tmp"))


@pytest.mark.parametrize("size", [1, 2, 3, 1 << 20])
def test_crlf_is_one_line_end(text: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_BLOCK", size)
    text.write_bytes(b"a b\r\nc\r\n\r\nd")
    assert tokens(text, "word") == ["a", "b", "</s>", "c", "</s>", "</s>", "d", "</s>"]
    assert "".join(tokens(text, "char")) == "a b\nc\n\nd"
    assert "".join(tokens(text, "byte")) == "a b\r\nc\r\n\r\nd"
    assert characters(text, "word") == characters(text, "char") == 8


def test_a_lone_carriage_return_is_no_line_end(text: Path) -> None:
    text.write_bytes(b"a\rb\r")
    assert tokens(text, "word") == ["a", "b", "</s>"]
    assert tokens(text, "char") == ["a", "\r", "b", "\r"]


def test_a_line_of_a_megabyte(text: Path) -> None:
    words = [f"w{i % 977}" for i in range(250_000)]
    line = " ".join(words)
    assert len(line) > 1 << 20
    text.write_text(line)
    assert tokens(text, "word") == [*words, "</s>"]
    encoded = encode(text, build(text, "word"))
    assert (len(encoded), encoded.counts.line_ends) == (250_001, 1)
    text.write_text("x" * (3 << 20))
    assert tokens(text, "word") == ["x" * (3 << 20), "</s>"]


def test_nul_bytes(text: Path) -> None:
    text.write_bytes(b"a\0b \0\0 c\n")
    assert tokens(text, "word") == ["a\0b", "\0\0", "c", "</s>"]
    for unit in ("word", "char", "byte"):
        built = build(text, unit)
        path = text.with_suffix(".vocab")
        built.save(path)
        assert vocabulary.load(path, unit, False).tokens == built.tokens


def test_a_corpus_of_three_words(text: Path) -> None:
    text.write_text("one two three")
    built = build(text, "word")
    assert built.tokens == ("</s>", "one", "three", "two", "<unk>")
    assert encode(text, built).ids(0, 4).tolist() == [1, 3, 2, 0]


def test_a_byte_order_mark_is_no_part_of_the_text(text: Path) -> None:
    text.write_bytes("\ufeffwörter\n".encode())
    assert tokens(text, "word") == ["wörter", "</s>"]
    assert tokens(text, "char")[0] == "w"


def test_unicode_white_space_ends_a_word_and_only_a_newline_a_line(text: Path) -> None:
    text.write_text("a\u00a0b\u2028c\x85d\x0be\n\u3000\n", encoding="utf-8")
    assert tokens(text, "word") == ["a", "b", "c", "d", "e", "</s>", "</s>"]


def test_blank_lines_count(text: Path) -> None:
    text.write_text("\n\n  \n")
    assert tokens(text, "word") == ["</s>"] * 3


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_gzip_reads_as_the_plain_file(text: Path, unit: str) -> None:
    content = ("der Löwe schläft\n" * 1000).encode()
    text.write_bytes(content)
    packed = text.with_suffix(".gz")
    packed.write_bytes(gzip.compress(content))
    assert tokens(packed, unit) == tokens(text, unit)
    packed.write_bytes(gzip.compress(content)[:-9])
    with pytest.raises(TextError, match="damaged gzip"):
        tokens(packed, unit)


def test_paths_that_are_no_text(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="a folder; give a text file"):
        tokens(tmp_path, "word")
    with pytest.raises(TextError, match="No such file"):
        tokens(tmp_path / "nowhere", "word")
    with pytest.raises(TextError, match="No such file"):
        sha256(tmp_path / "nowhere")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such devices")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom"])
def test_a_device_without_an_end_is_no_text(device: str) -> None:
    with pytest.raises(TextError, match=f"{device}: a device; give a text file"):
        tokens(Path(device), "word")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1 << 20])
@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_blocks_of_any_size_give_the_same(text: Path, unit: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text.write_text("über  den\tBerg\n\n 😀 zwei\u2003drei \nEnde", encoding="utf-8")
    wanted, count = tokens(text, unit), characters(text, unit)
    ids = encode(text, build(text, unit)).ids(0, len(wanted)).tolist()
    for cached in (text.parent / "cache").iterdir():
        cached.unlink()
    monkeypatch.setattr(files, "_BLOCK", size)
    assert tokens(text, unit) == wanted
    assert characters(text, unit) == count == len(text.read_text(encoding="utf-8"))
    assert encode(text, build(text, unit)).ids(0, len(wanted)).tolist() == ids


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("character", ["\0", "x", "字"])
def test_a_text_without_white_space_is_refused_before_it_fills_the_memory(
    tmp_path: Path, packed: bool, character: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "zeros"
    data = (character * (20 << 20)).encode()
    path.write_bytes(gzip.compress(data, 1) if packed else data)
    read = []
    real = files.blocks

    def counted(of: Path, at_once: bool = False) -> Iterator[files.Block]:
        for block in real(of, at_once):
            read.append(len(block.data))
            yield block

    monkeypatch.setattr(files, "blocks", counted)
    with pytest.raises(TextError, match=r"zeros: more than 16,777,216 characters without white space \('"):
        list(tokenizers.pieces(path, "word", False))
    assert sum(read) <= 18 * len(character.encode()) << 20


def test_a_long_word_is_a_word(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_text("a " + "b" * (5 << 20) + " c\n")
    words = [token for piece in tokenizers.pieces(path, "word", False) for token in piece.tokens]
    assert [len(word) for word in words] == [1, 5 << 20, 1, 4]
