"""The catalogue: what is wrong in one is named, and the one that comes with rnnlm is right."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_server import BODY, Page, Server, facts, notes, plain, run

from rnnlm.corpora import catalogue
from rnnlm.errors import InputError

REAL = Path(__file__).resolve().parents[4] / "shared" / "corpora"


def test_an_unknown_name() -> None:
    with pytest.raises(
        InputError,
        match=r"wikitext2: no such corpus; did you mean wikitext-2\?; the corpora are ptb, .*tinyshakespeare",
    ):
        next(catalogue.get("wikitext2"))


def test_the_default_folder(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.put("/text", Page())
    monkeypatch.chdir(tmp_path)
    work = catalogue.get("corpus", entry=plain(server.address("/text")))
    list(work)
    assert (tmp_path / "corpora" / "corpus" / "text").read_bytes() == BODY


GOOD = """\
small:
  title: Small
  homepage: https://example.org
  licence: public domain
  unit: word
  vocabulary: 3
  splits: {train: {file: text, words: 5, lines: 2}}
  files: {text: {size: 12}}
  sources:
    - format: plain
      file: text
      addresses: [http://example.org/text]
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: Small", "titel: Small", r":2:3: small.titel: .*Extra inputs"),
        ("  licence: public domain\n", "", r":1:1: small.licence: .*required"),
        ("unit: word", "unit: words", r":5:3: small.unit: found 'words'"),
        ("words: 5, lines: 2", "words: 5", r":1:1: small: .*splits.train must have file, lines, words"),
        ("size: 12", "size: -1", r":8:18: small.files.text.size: found -1; .*greater than or equal to 0"),
        ("size: 12", "sha256: 1234", r":8:18: small.files.text.sha256: found 1234"),
        ("http://example.org/text", "ftp://example.org/text", r":12:19: small.sources.0.addresses.0: found 'ftp:"),
        ("file: text\n", "file: other\n", r":1:1: small: no source gives the file text"),
        ("format: plain", "format: rar", r":10:7: small.sources.0.format: found 'rar'"),
        ("format: plain", "format: zip", r":10:7: small.sources.0: .*a zip source names its members"),
        ("unit: word", "title: Again", r":5:3: small.title: the key stands here twice"),
        ("unit: word", "? [unit]\n  : word", r":5:5: a key must be a plain word"),
        ("unit: word", "unit: [word", r":\d+:\d+: not YAML: "),
        ("small:", "../small:", r":1:1: \.\./small: .*should match pattern"),
        (GOOD, "- a\n- b\n", r":1:1: a catalogue is a mapping"),
        (GOOD, "", r":1:1: a catalogue is a mapping"),
    ],
)
def test_a_malformed_catalogue(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_text(GOOD)
    assert catalogue.load(path)["small"].splits["train"].tokens == 7
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(InputError, match=f"{path}{message}") as caught:
        catalogue.load(path)
    assert "\n" not in str(caught.value)


def test_a_catalogue_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.yaml: No such file"):
        catalogue.load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    with pytest.raises(InputError, match="not UTF-8 at byte 4"):
        catalogue.load(tmp_path / "latin.yaml")


def test_the_catalogue_that_comes_with_rnnlm_is_complete() -> None:
    entries = catalogue.load()
    assert list(entries) == ["ptb", "wikitext-2", "wikitext-103", "text8", "enwik8", "tinyshakespeare"]
    for name, entry in entries.items():
        assert entry.licence, name
        assert entry.download_size, name
        assert all(split.tokens > 0 for split in entry.splits.values()), name
        for file, known in entry.files.items():
            proofs = [source.checksum for source in entry.sources if file in source.gives]
            assert known.checksum or all(proofs), f"{name}: {file} would come unverified"
    tokens = {name: [split.tokens for split in entry.splits.values()] for name, entry in entries.items()}
    assert tokens == {  # as the papers that use them have them
        "ptb": [929589, 73760, 82430],
        "wikitext-2": [2088628, 217646, 245569],
        "wikitext-103": [103227021, 217646, 245569],
        "text8": [90_000_000, 5_000_000, 5_000_000],
        "enwik8": [90_000_000, 5_000_000, 5_000_000],
        "tinyshakespeare": [1003854, 111540],
    }


def test_describe_says_what_is_there(tmp_path: Path) -> None:
    text = tmp_path / "tinyshakespeare" / "input.txt"
    text.parent.mkdir()
    text.write_bytes(bytes(1115394))
    listings = {listing.name: listing for listing in catalogue.describe(tmp_path)}
    assert [name for name, listing in listings.items() if listing.present] == ["tinyshakespeare"]
    assert listings["ptb"].size == 5101618 + 399782 + 449945, "the three files, not the archive behind them"
    assert listings["ptb"].folder == tmp_path / "ptb"
    assert listings["ptb"].splits["test"].words == 78669
    text.write_bytes(b"half")
    assert not any(listing.present for listing in catalogue.describe(tmp_path))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real corpora are not beside the checkout")
@pytest.mark.parametrize("name", ["ptb", "tinyshakespeare"])
def test_the_real_files_match(name: str) -> None:
    """Hashes, canonical counts and vocabulary, against the files themselves."""
    corpus = catalogue.load()[name]
    for file, known in corpus.files.items():
        body = (REAL / name / file).read_bytes()
        assert facts(body) == {"size": known.size, "sha256": known.sha256}
    if corpus.unit == "word":
        for split in corpus.splits.values():
            text = (REAL / name / split.file).read_text(encoding="utf-8")
            assert (len(text.split()), text.count("\n")) == (split.words, split.lines)
        train = (REAL / name / corpus.splits["train"].file).read_text(encoding="utf-8")
        assert len(set(train.split())) + 1 == corpus.vocabulary
    else:
        text = (REAL / name / "input.txt").read_text(encoding="utf-8")
        assert corpus.splits["train"].characters == int(len(text) * 0.9)
        assert sum(split.tokens for split in corpus.splits.values()) == len(text)
        assert len(set(text)) == corpus.vocabulary


@pytest.mark.skipif(not REAL.is_dir(), reason="the real corpora are not beside the checkout")
def test_real_files_that_are_there_are_not_downloaded() -> None:
    paths, records = run(catalogue.load()["ptb"], REAL / "ptb")
    assert [path.name for path in paths] == ["ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"]
    assert "already there" in notes(records)
