"""One file: downloaded, checked, put in place; resumed where it was cut, from its start where it changed."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from corpus_server import BODY, Page, Server, names, notes, plain, run, sha256

from rnnlm.corpora import catalogue
from rnnlm.errors import InputError, ResourceError
from rnnlm.work import Note, Progress


def test_downloads_checks_and_puts_in_place(server: Server, tmp_path: Path) -> None:
    page = server.put("/text", Page())
    paths, records = run(plain(server.address("/text")), tmp_path / "new" / "corpus")
    assert paths == [tmp_path / "new" / "corpus" / "text"]
    assert paths[0].read_bytes() == BODY
    assert names(paths[0].parent) == ["text"], "the .part and its state must be gone"
    downloads = [record for record in records if isinstance(record, Progress) and record.task == "download"]
    assert downloads[0].done == 0
    assert [downloads[-1].done, downloads[-1].total, downloads[-1].unit] == [len(BODY), len(BODY), "bytes"]
    assert all(a.done <= b.done for a, b in pairwise(downloads))
    assert page.requests[0]["user-agent"].startswith("rnnlm/"), "one host refuses urllib's own name"


def test_what_is_there_is_not_downloaded_again(server: Server, tmp_path: Path) -> None:
    page = server.put("/text", Page())
    run(plain(server.address("/text")), tmp_path)
    paths, records = run(plain(server.address("/text")), tmp_path)
    assert len(page.requests) == 1
    assert paths == [tmp_path / "text"]
    assert "already there" in notes(records)


def test_a_file_with_other_content_is_not_overwritten(server: Server, tmp_path: Path) -> None:
    server.put("/text", Page())
    mine = BODY[:-1] + b"?"
    (tmp_path / "text").write_bytes(mine)
    with pytest.raises(InputError, match=f"{sha256(mine)}; expected {sha256(BODY)}.*move it away"):
        run(plain(server.address("/text")), tmp_path)
    assert (tmp_path / "text").read_bytes() == mine


def test_a_file_where_the_folder_belongs(server: Server, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(InputError, match="mine: is no folder, and one is written"):
        run(plain(server.address("/text")), tmp_path / "mine")


def test_no_empty_folder_is_left(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ResourceError):
        run(plain(server.address("/nothing")), tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(ResourceError):
        run(plain(server.address("/nothing")), tmp_path / "mine")
    assert (tmp_path / "mine").exists(), "a folder that was there stays"


def test_resumes_after_a_cut_connection(server: Server, tmp_path: Path) -> None:
    page = server.put("/text", Page(cut=300_000))
    address = server.address("/text")
    with pytest.raises(
        ResourceError,
        match=rf"{address}: .* after 300000 of {len(BODY)} bytes.*; .*the next run goes on; run the command again",
    ):
        run(plain(address), tmp_path)
    assert names(tmp_path) == ["text.part", "text.part.json"]
    page.cut = None
    paths, records = run(plain(address), tmp_path)
    assert page.requests[1]["range"] == "bytes=300000-"
    assert page.requests[1]["if-range"] == '"one"'
    assert paths[0].read_bytes() == BODY
    assert "going on from byte 300000" in notes(records)
    assert next(record.done for record in records if isinstance(record, Progress)) == 300_000


def test_an_abandoned_download_resumes(server: Server, tmp_path: Path) -> None:
    page = server.put("/text", Page())
    work = catalogue.get("corpus", tmp_path, entry=plain(server.address("/text")), timeout=5)
    for record in work:
        if isinstance(record, Progress) and record.done > 0:
            break
    work.close()
    got = (tmp_path / "text.part").stat().st_size
    assert 0 < got < len(BODY)
    paths, _ = run(plain(server.address("/text")), tmp_path)
    assert page.requests[1]["range"] == f"bytes={got}-"
    assert paths[0].read_bytes() == BODY


def test_a_whole_part_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    page = server.put("/text", Page())
    address = server.address("/text")
    (tmp_path / "text.part").write_bytes(BODY)
    (tmp_path / "text.part.json").write_text(json.dumps({"address": address, "etag": '"one"', "total": len(BODY)}))
    paths, _ = run(plain(address), tmp_path)
    assert page.requests == []
    assert paths[0].read_bytes() == BODY


@pytest.mark.parametrize(
    "state", ["", "[]", '{"address": "http://elsewhere/text"}', '{"address": 1}', '{"total": "1"}']
)
def test_a_part_of_unknown_origin_is_not_continued(server: Server, tmp_path: Path, state: str) -> None:
    page = server.put("/text", Page())
    (tmp_path / "text.part").write_bytes(b"not the beginning of that file")
    (tmp_path / "text.part.json").write_text(state)
    paths, _ = run(plain(server.address("/text")), tmp_path)
    assert "range" not in page.requests[0]
    assert paths[0].read_bytes() == BODY


@pytest.mark.parametrize("known", [True, False])
def test_a_server_without_ranges_restarts(server: Server, tmp_path: Path, known: bool) -> None:
    page = server.put("/text", Page(cut=300_000, ranges=False))
    corpus = plain(server.address("/text"), known=None if known else {})
    with pytest.raises(ResourceError):
        run(corpus, tmp_path)
    page.cut = None
    paths, records = run(corpus, tmp_path)
    assert "range" in page.requests[1]
    assert paths[0].read_bytes() == BODY
    assert "starting again" in notes(records)


@pytest.mark.parametrize("obeys_if_range", [True, False])
def test_a_file_that_changed_restarts(server: Server, tmp_path: Path, obeys_if_range: bool) -> None:
    page = server.put("/text", Page(cut=300_000))
    corpus = plain(server.address("/text"), known={})  # no hash that would find out at the end
    with pytest.raises(ResourceError):
        run(corpus, tmp_path)
    changed = BODY[::-1]
    page.body, page.etag, page.cut, page.obeys_if_range = changed, '"two"', None, obeys_if_range
    paths, records = run(corpus, tmp_path)
    assert paths[0].read_bytes() == changed
    assert "starting again" in notes(records)


def test_a_weak_etag_is_not_sent(server: Server, tmp_path: Path) -> None:
    page = server.put("/text", Page(cut=300_000, etag='W/"one"'))
    with pytest.raises(ResourceError):
        run(plain(server.address("/text")), tmp_path)
    page.cut = None
    paths, _ = run(plain(server.address("/text")), tmp_path)
    assert "if-range" not in page.requests[1]
    assert page.requests[1]["range"] == "bytes=300000-"
    assert paths[0].read_bytes() == BODY


def test_a_file_that_shrank_restarts(server: Server, tmp_path: Path) -> None:
    page = server.put("/text", Page(cut=300_000, etag=None))
    corpus = plain(server.address("/text"), known={})
    with pytest.raises(ResourceError):
        run(corpus, tmp_path)
    page.body, page.cut = b"short", None  # the server answers 416 to bytes=300000-
    paths, _ = run(corpus, tmp_path)
    assert paths[0].read_bytes() == b"short"


def test_another_range_than_asked_for_restarts(server: Server, tmp_path: Path) -> None:
    page = server.put("/text", Page(cut=300_000))
    corpus = plain(server.address("/text"), known={})
    with pytest.raises(ResourceError):
        run(corpus, tmp_path)
    page.cut, page.shift = None, 100
    paths, _ = run(corpus, tmp_path)
    assert paths[0].read_bytes() == BODY


def test_a_truncated_body(server: Server, tmp_path: Path) -> None:
    server.put("/text", Page(body=BODY[:1000], promise=len(BODY)))
    with pytest.raises(ResourceError, match=rf"after 1000 of {len(BODY)} bytes; .*text.part keeps 1000 bytes"):
        run(plain(server.address("/text")), tmp_path)
    assert "text" not in names(tmp_path)


def test_a_truncated_body_of_unannounced_length(server: Server, tmp_path: Path) -> None:
    server.put("/text", Page(body=BODY[:1000], length=False))
    with pytest.raises(ResourceError, match=rf"after 1000 of {len(BODY)} bytes"):
        run(plain(server.address("/text")), tmp_path)


def test_an_endless_body_is_stopped(server: Server, tmp_path: Path) -> None:
    server.put("/text", Page(body=BODY * 16, length=False))
    records: list[Any] = []
    work = catalogue.get("corpus", tmp_path, entry=plain(server.address("/text")), timeout=5)
    with pytest.raises(ResourceError, match=f"more than the {len(BODY)} bytes"):
        records.extend(work)
    got = max(record.done for record in records if isinstance(record, Progress))
    assert len(BODY) < got < 2 * len(BODY)
    assert names(tmp_path) == []


def test_a_wrong_hash(server: Server, tmp_path: Path) -> None:
    wrong = BODY[:-1] + b"?"
    server.put("/text", Page(body=wrong))
    with pytest.raises(ResourceError, match=f"sha256 {sha256(wrong)}; expected {sha256(BODY)}"):
        run(plain(server.address("/text")), tmp_path)
    assert names(tmp_path) == [], "neither the file nor a .part that could only fail again"


def test_a_wrong_size(server: Server, tmp_path: Path) -> None:
    server.put("/text", Page(body=BODY + b"?"))
    with pytest.raises(ResourceError, match=f"has {len(BODY) + 1} bytes; expected {len(BODY)}"):
        run(plain(server.address("/text")), tmp_path)
    assert names(tmp_path) == []


def test_an_error_page_does_not_destroy_what_came_before(server: Server, tmp_path: Path) -> None:
    page = server.put("/text", Page(cut=300_000))
    with pytest.raises(ResourceError):
        run(plain(server.address("/text")), tmp_path)
    page.body, page.etag, page.cut = b"<html>please log in</html>", None, None
    with pytest.raises(ResourceError, match="has 26 bytes"):
        run(plain(server.address("/text")), tmp_path)
    page.status = 500
    with pytest.raises(ResourceError, match="keeps 300000 bytes"):
        run(plain(server.address("/text")), tmp_path)
    assert (tmp_path / "text.part").read_bytes() == BODY[:300_000]


def test_md5_alone_is_checked_too(server: Server, tmp_path: Path) -> None:
    server.put("/text", Page())
    run(plain(server.address("/text"), known={"md5": hashlib.md5(BODY).hexdigest()}), tmp_path / "right")
    with pytest.raises(ResourceError, match="md5"):
        run(plain(server.address("/text"), known={"md5": "0" * 32}), tmp_path / "wrong")


def test_without_hash_it_says_so(server: Server, tmp_path: Path) -> None:
    server.put("/text", Page())
    paths, records = run(plain(server.address("/text"), known={}), tmp_path)
    assert paths[0].read_bytes() == BODY
    warnings = [record.text for record in records if isinstance(record, Note) and record.warning]
    assert warnings == ["text: size and hash are not known for this file: not verified"]
    assert sha256(BODY) in notes(records)
