"""The catalogue of public corpora, and downloads from a loopback server that misbehaves in every way it can."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import socket
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rnnlm.errors import InputError, ResourceError
from rnnlm.records import Note, Progress
from rnnlm.text import catalogue

BODY = bytes(range(256)) * 4096  # 1 MiB: several chunks
REAL = Path(__file__).resolve().parents[3] / "shared" / "corpora"


@dataclass
class Page:
    """What the server does at one path."""

    body: bytes = BODY
    status: int = 200
    etag: str | None = '"one"'
    ranges: bool = True
    obeys_if_range: bool = True
    promise: int | None = None  # Content-Length to send, where it is not the body's
    length: bool = True
    cut: int | None = None  # close the connection after this many bytes of the body
    shift: int = 0  # bytes before the ones that were asked for
    stall: float = 0.0  # seconds to wait there before closing
    requests: list[dict[str, str]] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        page: Page | None = self.server.pages.get(self.path)
        if page is None or page.status != 200:
            self.send_error(404 if page is None else page.status)
            return
        page.requests.append({name.lower(): value for name, value in self.headers.items()})
        asked, condition = self.headers.get("Range"), self.headers.get("If-Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and page.ranges else 0
        if condition and page.obeys_if_range and condition != page.etag:
            start = 0
        if start >= len(page.body) and start:
            self.send_error(416)
            return
        start -= page.shift if start else 0
        body = page.body[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(page.body) - 1}/{len(page.body)}")
        if page.length:
            self.send_header("Content-Length", str(len(body) if page.promise is None else page.promise))
        if page.etag:
            self.send_header("ETag", page.etag)
        self.end_headers()
        self.wfile.write(body if page.cut is None else body[: page.cut])
        self.wfile.flush()
        time.sleep(page.stall)

    def log_message(self, *arguments: Any) -> None:
        pass


class Server:
    def __init__(self) -> None:
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *arguments: None  # type: ignore[method-assign]  # a client that hangs up
        self.pages: dict[str, Page] = {}
        self.http.pages = self.pages  # type: ignore[attr-defined]
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def put(self, path: str, page: Page) -> Page:
        self.pages[path] = page
        return page

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}{path}"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("no_proxy", "*")


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def facts(body: bytes) -> dict[str, Any]:
    return {"size": len(body), "sha256": sha256(body)}


def entry(sources: list[dict[str, Any]], files: dict[str, dict[str, Any]]) -> catalogue.Entry:
    first = next(iter(files))
    return catalogue.Entry.model_validate(
        {
            "title": "A corpus",
            "homepage": "https://example.org",
            "licence": "public domain",
            "unit": "byte",
            "vocabulary": 256,
            "splits": {"train": {"file": first, "bytes": 1}},
            "files": files,
            "sources": sources,
        }
    )


def plain(*addresses: str, known: dict[str, Any] | None = None) -> catalogue.Entry:
    source = {"format": "plain", "file": "text", "addresses": list(addresses)}
    return entry([source], {"text": facts(BODY) if known is None else known})


def run(entry: catalogue.Entry, folder: Path, timeout: float = 5.0) -> tuple[list[Path], list[Any]]:
    records: list[Any] = []
    work = catalogue.get("corpus", folder, entry=entry, timeout=timeout)
    while True:
        try:
            records.append(next(work))
        except StopIteration as end:
            return end.value, records


def notes(records: list[Any]) -> str:
    return "\n".join(record.text for record in records if isinstance(record, Note))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# One file


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


def test_a_refused_connection(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/text"
    with pytest.raises(ResourceError, match=f"{address}: Connection refused; .*look at the connection"):
        run(plain(address), tmp_path)


def test_a_server_that_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*arguments: Any, **options: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ResourceError, match=r"http://corpora.invalid/text: Name or service not known"):
        run(plain("http://corpora.invalid/text"), tmp_path)


@pytest.mark.parametrize("status", [404, 500])
def test_an_http_error(server: Server, tmp_path: Path, status: int) -> None:
    server.put("/text", Page(status=status))
    with pytest.raises(ResourceError, match=rf"{server.address('/text')}: the server answers {status}"):
        run(plain(server.address("/text")), tmp_path)
    assert names(tmp_path) == []


def test_a_timeout_keeps_what_came(server: Server, tmp_path: Path) -> None:
    server.put("/text", Page(cut=5000, stall=1.0))
    with pytest.raises(
        ResourceError, match=r"after 5000 of \d+ bytes \(no answer within 0.2 s\); .*keeps 5000 bytes"
    ):
        run(plain(server.address("/text")), tmp_path, timeout=0.2)


def test_a_redirect_to_another_scheme_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def redirect(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "ftp://127.0.0.1/text")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    monkeypatch.setattr(Handler, "do_GET", redirect)
    with pytest.raises(ResourceError, match="unknown url type: ftp"):
        run(plain(server.address("/text")), tmp_path)


def test_a_file_address(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(BODY)
    paths, _ = run(plain((tmp_path / "there").as_uri()), tmp_path / "here")
    assert paths[0].read_bytes() == BODY
    with pytest.raises(ResourceError, match="nowhere"):
        run(plain((tmp_path / "nowhere").as_uri()), tmp_path / "other")


# Mirrors


def test_mirrors_are_tried_in_order(server: Server, tmp_path: Path) -> None:
    server.put("/one", Page(status=404))
    server.put("/two", Page(body=b"wrong" + BODY[5:]))
    server.put("/three", Page())
    last = server.put("/four", Page())
    paths, records = run(plain(*(server.address(f"/{name}") for name in ("one", "two", "three", "four"))), tmp_path)
    assert paths[0].read_bytes() == BODY
    assert last.requests == []
    warnings = [record.text for record in records if isinstance(record, Note) and record.warning]
    assert [("answers 404" in warnings[0]), ("expected" in warnings[1]), len(warnings)] == [True, True, 2]


def test_when_all_mirrors_fail(server: Server, tmp_path: Path) -> None:
    one, two = server.address("/one"), server.address("/two")
    with pytest.raises(
        ResourceError, match=f"text: 2 addresses failed; the last: {two}: the server answers 404"
    ) as caught:
        run(plain(one, two), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_down_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(*arguments: Any, **options: Any) -> Any:
        asked.append(arguments)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(ResourceError, match="2 addresses failed"):
        run(plain("http://a.invalid/1", "http://a.invalid/2", "http://b.invalid/1"), tmp_path)
    assert len(asked) == 2


def test_another_source_gives_what_the_first_lacks(server: Server, tmp_path: Path) -> None:
    server.put("/one", Page(body=b"one"))
    server.put("/all.tgz", Page(body=tar({"all/one": b"one", "all/two": b"two"})))
    sources = [
        {"format": "plain", "file": "one", "addresses": [server.address("/one")]},
        {"format": "plain", "file": "two", "addresses": [server.address("/two")]},
        archive(server.address("/all.tgz"), "tar.gz", {"all/one": "one", "all/two": "two"}),
    ]
    paths, _ = run(entry(sources, {"one": facts(b"one"), "two": facts(b"two")}), tmp_path)
    assert [path.read_bytes() for path in paths] == [b"one", b"two"]
    assert names(tmp_path) == ["one", "two"]


# Archives


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, body in members.items():
            file.writestr(name, body)
    return buffer.getvalue()


def tar(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            file.addfile(info, io.BytesIO(body))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            file.addfile(info)
    return buffer.getvalue()


def archive(address: str, kind: str, members: dict[str, str], **known: Any) -> dict[str, Any]:
    return {"format": kind, "addresses": [address], "members": members, **known}


MEMBERS = {"deep/down/a.tokens": BODY, "deep/down/b.tokens": b"", "deep/README": b"more"}
WANTED = {"deep/down/a.tokens": "a", "deep/down/b.tokens": "b"}


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("prefix", ["", "./"])
def test_unpacks_the_named_members_alone(server: Server, tmp_path: Path, kind: str, prefix: str) -> None:
    body = (zipped if kind == "zip" else tar)({prefix + name: data for name, data in MEMBERS.items()})
    server.put("/x.bin", Page(body=body))
    source = archive(server.address("/x.bin"), kind, WANTED, **facts(body))
    paths, records = run(entry([source], {"a": {}, "b": facts(b"")}), tmp_path)
    assert [path.read_bytes() for path in paths] == [BODY, b""]
    assert names(tmp_path) == ["a", "b"]
    assert not any(isinstance(record, Note) and record.warning for record in records), (
        "the archive's hash proves them"
    )
    assert any(isinstance(record, Progress) and record.task == "unpack" for record in records)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_without_the_archives_hash_the_files_are_checked(server: Server, tmp_path: Path, kind: str) -> None:
    body = (zipped if kind == "zip" else tar)(MEMBERS)
    server.put("/x", Page(body=body))
    source = archive(server.address("/x"), kind, WANTED)
    paths, records = run(entry([source], {"a": facts(BODY), "b": facts(b"")}), tmp_path / "right")
    assert len(paths) == 2
    assert not any(isinstance(record, Note) and record.warning for record in records)
    wrong = facts(BODY) | {"sha256": "0" * 64}
    with pytest.raises(ResourceError, match=f"deep/down/a.tokens has sha256 {sha256(BODY)}; expected 0000"):
        run(entry([source], {"b": facts(b""), "a": wrong}), tmp_path / "wrong")
    assert names(tmp_path / "wrong") == [], "the good file must not appear without the other"
    with pytest.raises(ResourceError, match=f"deep/down/a.tokens has {len(BODY)} bytes; expected 7"):
        run(entry([source], {"b": facts(b""), "a": {"size": 7}}), tmp_path / "size")
    assert names(tmp_path / "size") == []


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_missing_member(server: Server, tmp_path: Path, kind: str) -> None:
    server.put("/x", Page(body=(zipped if kind == "zip" else tar)({"deep/README": b"more"})))
    with pytest.raises(ResourceError, match=r"/x: the archive has no file deep/down/a.tokens; it has deep/README"):
        run(entry([archive(server.address("/x"), kind, WANTED)], {"a": {}, "b": {}}), tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_members_that_lead_out_are_left_alone(server: Server, tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside"
    members = {"../outside": b"evil", str(outside): b"evil", "good": b"good"}
    server.put("/x", Page(body=(zipped if kind == "zip" else tar)(members)))
    run(entry([archive(server.address("/x"), kind, {"good": "good"})], {"good": facts(b"good")}), tmp_path / "in")
    assert names(tmp_path) == ["in"]
    assert names(tmp_path / "in") == ["good"]


@pytest.mark.parametrize("member", ["../good", "/good", "a/../../good", "a\\..\\good"])
def test_a_catalogue_cannot_name_a_member_that_leads_out(member: str) -> None:
    with pytest.raises(ValueError, match="leads out"):
        entry([archive("http://a.invalid/x", "zip", {member: "good"})], {"good": {}})


@pytest.mark.parametrize("file", ["../good", "/good", "a/b", ".hidden", ""])
def test_a_catalogue_cannot_name_a_file_outside_the_folder(file: str) -> None:
    with pytest.raises(ValueError, match="should match pattern"):
        entry([archive("http://a.invalid/x", "zip", {"good": file})], {file: {}})


def test_a_link_is_no_member(server: Server, tmp_path: Path) -> None:
    server.put("/x", Page(body=tar({}, {"good": "/etc/passwd"})))
    with pytest.raises(ResourceError, match="no file good"):
        run(entry([archive(server.address("/x"), "tar.gz", {"good": "good"})], {"good": {}}), tmp_path)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("damage", ["text", "half", "flipped"])
def test_a_damaged_archive(server: Server, tmp_path: Path, kind: str, damage: str) -> None:
    noise = os.urandom(100_000)  # incompressible: the middle of the archive is the middle of the member
    whole = (zipped if kind == "zip" else tar)({"good": noise})
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    server.put("/x", Page(body={"text": b"<html>", "half": whole[:middle], "flipped": flipped}[damage]))
    with pytest.raises(ResourceError, match=r"/x: a damaged archive: .+; the download is thrown away"):
        run(entry([archive(server.address("/x"), kind, {"good": "good"})], {"good": {}}), tmp_path)
    assert names(tmp_path) == []


# The disk


def test_too_little_space_is_found_before_the_download(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = server.put("/text", Page())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**6, 10**6 - 1000, 1000))
    with pytest.raises(ResourceError, match=f"needs {len(BODY)} bytes, the disk has 1000 free"):
        run(plain(server.address("/text")), tmp_path)
    assert page.requests == []
    with pytest.raises(ResourceError, match=f"needs {len(BODY)} bytes, the disk has 1000 free"):
        run(plain(server.address("/text"), known={}), tmp_path)  # known from the server's answer
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    server.put("/text", Page())
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        ResourceError, match=r"file/corpus: cannot be written: Not a directory; choose another folder"
    ):
        run(plain(server.address("/text")), tmp_path / "file" / "corpus")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    server.put("/text", Page())
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ResourceError, match=r"text.part: cannot be written: Permission denied"):
            run(plain(server.address("/text")), tmp_path)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_disk_that_fills_up(server: Server, tmp_path: Path) -> None:
    server.put("/text", Page())
    (tmp_path / "text.part").symlink_to("/dev/full")
    with pytest.raises(ResourceError, match=r"text.part: cannot be written: No space left on device"):
        run(plain(server.address("/text"), server.address("/text")), tmp_path)
    assert "text" not in names(tmp_path)


# The catalogue


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
    with pytest.raises(InputError, match="not UTF-8 at byte 3"):
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
