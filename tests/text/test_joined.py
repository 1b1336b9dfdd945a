"""Several files that are read as one text: against one file that holds them all, and by their names."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest
from reading import build, encode, tokens

from rnnlm.errors import TextError
from rnnlm.text import files
from rnnlm.text.joined import Joined, Part, files_of, find, matching, of
from rnnlm.work import run_to_end

A, B = "the dog\nsees é\r\n", "\ufeffa cat that\n\nsees <unk> x"  # B does not end its last line


@pytest.fixture
def text(tmp_path: Path) -> Joined:
    """B twice, then A; and what one file of them would be, in whole.txt."""
    (tmp_path / "a.txt").write_bytes(A.encode())
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(B.encode()))
    (tmp_path / "whole.txt").write_text((B.removeprefix("\ufeff") + "\n") * 2 + A.replace("\r\n", "\n"))
    return Joined((Part(tmp_path / "b.txt.gz", 2), Part(tmp_path / "a.txt")))


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("unit", ["word", "char"])
def test_it_is_what_one_file_of_them_all_would_be(text: Joined, tmp_path: Path, unit: str, lowercase: bool) -> None:
    """With a byte-order mark at each file's beginning, and a line end where a file lacks its last one."""
    whole = tmp_path / "whole.txt"
    assert tokens(text, unit, lowercase) == tokens(whole, unit, lowercase)
    words = build(text, unit, min_count=2)
    assert words.text() == build(whole, unit, min_count=2).text()
    joined, one = encode(text, words), encode(whole, words)
    assert joined.stored.tolist() == one.stored.tolist()
    names = ("tokens", "unknown", "line_ends")
    assert [getattr(joined.counts, n) for n in names] == [getattr(one.counts, n) for n in names]
    assert joined.counts.characters == one.counts.characters - 2, "the line ends that no file has"


def test_bytes_are_joined_as_they_are(text: Joined) -> None:
    one = B.encode() + b"\n"
    assert "".join(tokens(text, "byte")).encode("latin-1") == one + one + A.encode()


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_the_counts_of_each_file_are_kept(text: Joined, tmp_path: Path, unit: str) -> None:
    """When it is encoded, and when it is found again."""
    words = build(text, unit)
    for found in (encode(text, words), encode(text, words)):
        b, a = found.files
        assert (b.name, b.weight, a.name, a.weight) == (str(tmp_path / "b.txt.gz"), 2, str(tmp_path / "a.txt"), 1)
        alone = [encode(path, words).counts for path in files_of(text)]
        ended = 0 if unit == "word" else 1  # the line end that joins them
        assert b.counts.tokens == 2 * (alone[0].tokens + ended)
        assert b.counts.line_ends == 2 * (alone[0].line_ends + ended)
        assert a.counts == alone[1]
        assert a.counts.tokens + b.counts.tokens == len(found)
    assert len(list((tmp_path / "cache").glob("*.ids"))) == 3


@pytest.mark.parametrize("damage", ["no parts", "another count", "another kind"])
def test_damaged_counts_of_files_are_made_again(text: Joined, tmp_path: Path, damage: str) -> None:
    words = build(text, "word")
    wanted = encode(text, words).counts
    (path,) = (tmp_path / "cache").glob("*.json")
    parts = path.read_text().index('"parts"')
    kept = path.read_text()
    changed = {
        "no parts": '"parts": [], ',
        "another count": kept[parts : kept.index('"checksum"')].replace('"tokens": 1', '"tokens": 2', 1),
        "another kind": '"parts": [3], ',
    }[damage]
    path.write_text(kept[:parts] + changed + kept[kept.index('"checksum"') :])
    assert encode(text, words).counts == wanted


def test_files_weights_and_order_make_another_text(text: Joined, tmp_path: Path) -> None:
    b, a = text.parts
    texts: list[Any] = [text, Joined((a, b)), Joined((Part(b.path), a)), Joined((b,)), a.path, b.path]
    assert len({files.sha256(one) for one in texts}) == len(texts)
    assert files.sha256(of([(a.path, 1)])) == files.sha256(a.path), "one file that is read once is itself"
    assert (str(text), files.name(text)) == (f"{b.path} and 1 more",) * 2


def test_progress_rises_to_the_size_of_all(text: Joined) -> None:
    from rnnlm.text import vocabulary

    task = vocabulary.build(text, "char", False, 1, None)
    done = [record.done for record in task]  # type: ignore[union-attr]
    assert done == sorted(done)
    assert done[-1] == files.size(text) == sum(os.path.getsize(p.path) * p.weight for p in text.parts)


def test_a_file_of_no_token_is_named(text: Joined, tmp_path: Path) -> None:
    (tmp_path / "nothing.gz").write_bytes(gzip.compress(b""))
    words = build(text, "word")
    with pytest.raises(TextError, match=r"nothing.gz: empty; give a text with at least one token"):
        encode(Joined((text.parts[1], Part(tmp_path / "nothing.gz"))), words)
    (tmp_path / "empty.txt").write_bytes(b"")
    with pytest.raises(TextError, match=r"empty.txt: empty"):
        files.check_file(Joined((text.parts[1], Part(tmp_path / "empty.txt"))))


# -- by their names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "texts"
    for name in ("b.txt", "a.txt", "sub/c.txt.gz", "sub/notes.md", ".hidden.txt", ".git/d.txt", "odd[1].txt"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text("x\n")
    (made / "folder.txt").mkdir()
    return made


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("", ["a.txt", "b.txt", "odd[1].txt", "sub/c.txt.gz"]),
        ("*.txt", ["a.txt", "b.txt", "odd[1].txt"]),
        ("**/*.md", ["sub/notes.md"]),
        ("[ab].txt", ["a.txt", "b.txt"]),
        ("odd[1].txt", ["odd[1].txt"]),  # a file of that very name
        ("gone.txt", ["gone.txt"]),
        ("gone*.txt", []),
        (".hidden.txt", [".hidden.txt"]),
    ],
)
def test_what_a_name_stands_for(folder: Path, name: str, found: list[str]) -> None:
    assert matching(str(folder / name)) == [folder / own for own in found]


def test_texts_are_found_in_their_order_with_their_weights(folder: Path) -> None:
    found = find("data.train", [(str(folder / "sub"), 3), (str(folder / "[ab].txt"), 1)])
    assert found == Joined((Part(folder / "sub/c.txt.gz", 3), Part(folder / "a.txt"), Part(folder / "b.txt")))
    assert find("data.train", [(str(folder / "a*.txt"), 1)]) == folder / "a.txt"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["*.text"], r"data.train: .*/\*\.text: matches no file; give a file, a folder or another pattern"),
        ([".git/no", "sub/none"], r"data.train: .*/sub/none: a folder without texts \(\*.txt and \*.txt.gz\)"),
        (["a.txt", "b.txt", "a.txt"], r"data.train: .*/a.txt is named twice; name it once, with weight: 2"),
        (["link.txt", "a.txt"], r"data.train: .*/a.txt is named twice"),
        (["a.txt", "*.txt"], r"data.train: .*/a.txt is named twice"),
    ],
)
def test_names_that_are_wrong(folder: Path, names: list[str], message: str) -> None:
    (folder / "sub/none").mkdir()
    (folder / "link.txt").symlink_to(folder / "a.txt")
    with pytest.raises(TextError, match=message) as caught:
        find("data.train", [(str(folder / name), 1) for name in names])
    assert "\n" not in str(caught.value)


def test_nothing_is_encoded_that_is_not_asked_for(text: Joined, tmp_path: Path) -> None:
    from rnnlm.text import corpus

    words = build(text, "word")
    assert corpus.kept(text, files.sha256(text), words, tmp_path) is None
    wanted = run_to_end(corpus.encode(text, words, tmp_path))
    for path in files_of(text):
        path.unlink()
    found = corpus.kept(text, wanted.text_hash, words, tmp_path)
    assert found is not None
    assert (found.key, found.files, found.stored.tolist()) == (wanted.key, wanted.files, wanted.stored.tolist())
    assert corpus.kept(text.parts[0].path, wanted.text_hash, words, tmp_path) is None, (
        "several files are no single one"
    )
