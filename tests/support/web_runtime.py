"""A stand-in for the npm package onnxruntime-web: its files by name, with other contents."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from rnnlm.interchange.web.runtime import MODULE, WASM

CONTENTS = {MODULE: b"export default 1;\n", WASM: b"\0asm" + bytes(range(256))}


def write_archive(path: Path, contents: dict[str, bytes] = CONTENTS) -> Path:
    """As `npm pack` writes it: everything in package/."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
