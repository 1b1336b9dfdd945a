"""A loopback server that misbehaves in every way it can, and corpora whose addresses lead there."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import time
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import records

from rnnlm.corpora import catalogue
from rnnlm.work import Note

BODY = bytes(range(256)) * 4096  # 1 MiB: several chunks


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
    return records.run(catalogue.get("corpus", folder, entry=entry, timeout=timeout))


def notes(found: list[Any]) -> str:
    return "\n".join(record.text for record in found if isinstance(record, Note))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


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
