"""One HTTP download, resumed where it was cut, begun anew where the file has changed."""

from __future__ import annotations

import http.client
import json
import os
import re
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rnnlm.corpora.catalogue.entries import Facts
from rnnlm.corpora.catalogue.files import CHUNK, Records, SourceError, UnreachableError, check_space, disk_error
from rnnlm.version import __version__
from rnnlm.work import Note, Progress


def _opener() -> urllib.request.OpenerDirector:
    """urllib's own, with proxies from the environment, for http, https and file alone (redirected ones too)."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.FileHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def download(address: str, part: Path, facts: Facts, timeout: float) -> Records:
    """Bring `part` to its full length.

    Raises:
        SourceError: the address gave an error, another size or fewer bytes; what came is kept.
    """
    state = _read_state(part)
    offset = part.stat().st_size if state.get("address") == address and part.exists() else 0
    length = facts.size if facts.size is not None else state.get("total")
    if offset and offset == length:
        return  # cut after its last byte, before it was checked
    if offset and length is not None and offset > length:
        offset = 0
    with ExitStack() as stack:
        if offset:
            response = stack.enter_context(_open(address, part, timeout, _range_headers(offset, state)))
            if _continues(response, offset, state):
                yield Note(f"{address}: going on from byte {offset}")
            else:
                yield Note(f"{address}: the server sends another file or no parts of one: starting again")
                if response.status != 200:
                    response.close()
                    response = stack.enter_context(_open(address, part, timeout, {}))
                offset = 0
        else:
            response = stack.enter_context(_open(address, part, timeout, {}))
        yield from _receive(response, address, part, facts, offset, timeout)


def _receive(response: Any, address: str, part: Path, facts: Facts, offset: int, timeout: float) -> Records:
    """Write the body of `response` to `part` from byte `offset` on."""
    headers = response.headers
    body = headers.get("Content-Length")
    total = offset + int(body) if body and body.isdigit() else None
    if facts.size is not None and total not in (None, facts.size):
        raise SourceError(f"{address}: has {total} bytes; expected {facts.size}")
    expected = facts.size if total is None else total
    if expected is not None:
        check_space(part.parent, expected - offset)
    state = {
        "address": address,
        "etag": headers.get("ETag"),
        "modified": headers.get("Last-Modified"),
        "total": expected,
    }
    got = told = offset
    try:
        with part.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            _state_path(part).write_text(json.dumps(state), encoding="utf-8")
            yield Progress("download", got, expected, "bytes")
            while True:
                chunk, failure = _read(response, timeout)
                file.write(chunk)
                got += len(chunk)
                done = not chunk or bool(failure) or (expected is not None and got > expected)
                if done or got - told >= CHUNK:
                    yield Progress("download", got, expected, "bytes")
                    told = got
                if done:
                    break
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise disk_error(part, error) from None
    if expected is not None and got > expected:
        forget(part)
        raise SourceError(f"{address}: sends more than the {expected} bytes that were expected")
    if failure or (expected is not None and got < expected):
        of = "" if expected is None else f" of {expected}"
        why = f" ({failure})" if failure else ""
        raise SourceError(f"{address}: the connection ended after {got}{of} bytes{why}{_kept(part)}")


def _read(response: Any, timeout: float) -> tuple[bytes, str]:
    """The next bytes of the body, and why there will be no more ("": there may be)."""
    try:
        return response.read1(CHUNK), ""  # read() would lose what came before a timeout
    except http.client.IncompleteRead as error:
        return error.partial, "cut short"
    except (OSError, http.client.HTTPException) as error:
        return b"", _reason(error, timeout)


def _open(address: str, part: Path, timeout: float, headers: dict[str, str]) -> Any:
    """The response; 416 (nothing beyond that byte) is one too."""
    standard = {"User-Agent": f"rnnlm/{__version__}", "Accept-Encoding": "identity"}
    try:
        return _opener().open(urllib.request.Request(address, headers=standard | headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416 and headers:
            return error
        error.close()
        raise SourceError(f"{address}: the server answers {error.code} {error.reason}{_kept(part)}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnreachableError(f"{address}: {_reason(error, timeout)}{_kept(part)}") from None


def _reason(error: Exception, timeout: float) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {timeout:g} s"
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__)


def _kept(part: Path) -> str:
    got = part.stat().st_size if part.exists() else 0
    return f"; {part} keeps {got} bytes, from which the next run goes on" if got else ""


def _range_headers(offset: int, state: dict[str, Any]) -> dict[str, str]:
    """Ask for the rest, provided the file is the same; a weak ETag (W/) says nothing of bytes and must stay
    away."""
    etag = state.get("etag")
    validator = etag if etag and not etag.startswith("W/") else state.get("modified")
    return {"Range": f"bytes={offset}-"} | ({"If-Range": validator} if validator else {})


def _continues(response: Any, offset: int, state: dict[str, Any]) -> bool:
    """Whether the response is the rest, from byte `offset` on, of the file that was begun.

    A server may honour Range and overlook If-Range, so what it says of the file is compared here too. With
    nothing to compare but the length, the hash decides at the end.
    """
    if response.status != 206:
        return False
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if not match or int(match[1]) != offset:
        return False
    total = None if match[3] == "*" else int(match[3])
    now = {"etag": response.headers.get("ETag"), "modified": response.headers.get("Last-Modified"), "total": total}
    return all(state.get(key) is None or value is None or state[key] == value for key, value in now.items())


def _state_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_state(part: Path) -> dict[str, Any]:
    try:
        state = json.loads(_state_path(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    texts = ("address", "etag", "modified")
    if not isinstance(state, dict) or not all(isinstance(state.get(key), str | None) for key in texts):
        return {}
    return state if isinstance(state.get("total"), int | None) else {}


def forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _state_path(part).unlink(missing_ok=True)
