"""Reading texts in blocks: where a block ends changes nothing."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnlm.errors import TextError
from rnnlm.text import files

# The tests write the same file again for each example and set the block themselves.
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SETTINGS
@given(
    st.lists(st.sampled_from([b"a", b"\r", b"\n", "é€😀".encode(), b"\xe2\x82", b"\xf0\x9f", b"\xff", b"\x80"])),
    st.integers(1, 7),
)
def test_the_same_text_or_the_same_error_wherever_a_block_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: list[bytes], block: int
) -> None:
    content = b"".join(parts)
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    monkeypatch.setattr(files, "_BLOCK", block)
    try:
        wanted = content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        message = rf"text.txt: not UTF-8 at byte {error.start + 1} \(0x{content[error.start]:02x}\)"
        with pytest.raises(TextError, match=message):
            list(files.characters(path))
    else:
        assert "".join(text for text, _ in files.characters(path)) == wanted


@pytest.mark.parametrize("block", [*range(1, 8), 1 << 20])
def test_one_byte_order_mark_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(files, "_BLOCK", block)
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeff\ufeffé\ufeff".encode())
    assert "".join(text for text, _ in files.characters(path)) == "\ufeffé\ufeff"
    path.write_bytes("\ufeffé".encode() + b"\xff")
    with pytest.raises(TextError, match="not UTF-8 at byte 6 "):
        list(files.characters(path))


@pytest.mark.parametrize("read", [lambda path: list(files.blocks(path)), files.sha256], ids=["blocks", "sha256"])
def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Any) -> None:
    def refuse(*arguments: Any) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "text.txt"
    path.write_text("a")
    monkeypatch.setattr(files, "open", refuse, raising=False)
    with pytest.raises(TextError, match=r"text.txt: Permission denied; give a readable text file"):
        read(path)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_the_bytes_done_rise_to_the_size(tmp_path: Path, packed: bool) -> None:
    content = "".join(f"line {i}\n" for i in range(400_000)).encode()
    path = tmp_path / "text"
    path.write_bytes(gzip.compress(content) if packed else content)
    done = [block.done for block in files.blocks(path)]
    assert len(done) > 3
    assert done == sorted(done)
    assert done[-1] == files.size(path)


def test_gzip_that_is_damaged_inside(tmp_path: Path) -> None:
    path = tmp_path / "text.gz"
    whole = gzip.compress(b"a b c\n" * 1000)
    for content in (whole[:2], whole[:12], whole[:-1], whole[:-6] + b"xx" + whole[-4:], whole[:15] + b"\xff" * 9):
        path.write_bytes(content)
        with pytest.raises(TextError, match=r"text.gz: damaged gzip file \(.*\); fetch or pack it again") as caught:
            list(files.blocks(path))
        assert "\n" not in str(caught.value)
