"""Addresses that fail, and the mirrors that stand in for them."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from corpus_server import BODY, Handler, Page, Server, archive, entry, facts, names, plain, run, tar

from rnnlm.errors import ResourceError
from rnnlm.work import Note


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
