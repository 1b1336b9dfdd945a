"""Of an archive the named members alone, all of them or none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from corpus_server import BODY, Page, Server, archive, entry, facts, names, run, sha256, tar, zipped

from rnnlm.errors import ResourceError
from rnnlm.work import Note, Progress

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
