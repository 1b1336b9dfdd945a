"""``rnnlm init``: a configuration for a text."""

from __future__ import annotations

import math
import random
import re
from pathlib import Path
from typing import Any

import pytest

from rnnlm.config import file as config_file
from rnnlm.network import build


def _words(count: int, different: int) -> str:
    generator = random.Random(1)
    words = [f"w{min(int(generator.paretovariate(1)), different)}" for _ in range(count)]
    return "\n".join(" ".join(words[i : i + 12]) for i in range(0, count, 12)) + "\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "unit", "hidden"),
    [
        (_words(30_000, 200).encode(), "word", 64),
        (_words(400_000, 50).encode(), "word", 256),
        (_words(2000, 50).encode(), "char", 64),
        (("天气很好我们出去玩吧。" * 10 + "\n").encode() * 50, "char", 64),
        (b"x" * (20 << 20), "char", 512),
        (_words(2000, 50).encode("utf-16"), "byte", 64),
    ],
    ids=["words", "many words", "few words", "no spaces", "one word", "not UTF-8"],
)
def test_unit_and_size_are_chosen_from_the_text_and_said(
    text: bytes, unit: str, hidden: int, here: Path, call: Any
) -> None:
    (here / "my text: #1.txt").write_bytes(text)
    status, out, _ = call("init", "my text: #1.txt")
    assert status == 0
    config = config_file.load(here / "my text: #1.yaml")
    assert (config.data.text, config.data.unit, list(config.model.sizes)) == ("my text: #1.txt", unit, [hidden])
    assert 3 <= config.train.epochs <= 20
    assert f"{hidden} units" in out
    assert f"{config.train.epochs} epochs, about" in out
    assert out.splitlines()[0].startswith({"word": "words", "char": "characters", "byte": "bytes"}[unit])
    assert out.endswith("rnnlm train 'my text: #1.yaml' begins\n")


@pytest.mark.parametrize("rare", [0, 1, 6000])
def test_words_that_occur_once_are_left_out(rare: int, here: Path, call: Any) -> None:
    words = [*(f"rare{i}" for i in range(rare)), *(f"w{i % 50}" for i in range(100_000))]
    Path("a.txt").write_text("".join(f"{' '.join(words[i : i + 100])}\n" for i in range(0, len(words), 100)))
    status, out, _ = call("init", "a.txt")
    assert status == 0
    config = config_file.load("a.yaml")
    assert config.vocab.min_count == (2 if rare else 1)
    assert f"words: {len(words):,} of them, {50 + rare:,} different ones" in out, "line ends are none"
    weights = sum(math.prod(shape) for shape in build.shapes(config, 53).values())
    assert float(re.search(r"about (\S+) million weights", out)[1]) == pytest.approx(weights / 1e6, rel=0.05)


def test_it_never_writes_over_a_file(here: Path, call: Any) -> None:
    Path("my.txt").write_text(_words(2000, 50))
    Path("my.yaml").write_text("mine")
    status, _, err = call("init", "my.txt")
    assert status == 2
    assert "my.yaml: is there already; --force replaces it" in err
    assert Path("my.yaml").read_text() == "mine"
    assert call("init", "my.txt", "-o", "other.yaml")[0] == 0


@pytest.mark.parametrize("text", ["", "a b c\n"])
def test_too_short_a_text_is_refused(text: str, here: Path, call: Any) -> None:
    Path("my.txt").write_text(text)
    status, _, err = call("init", "my.txt")
    assert status == 2
    assert "my.txt: " in err
    assert not Path("my.yaml").exists()


def test_its_configuration_trains(here: Path, call: Any) -> None:
    Path("my.txt").write_text(_words(3000, 50))
    assert call("init", "my.txt")[0] == 0
    status, _, err = call("train", "my.yaml", "--set", "train.max_updates=2", "--set", "model.hidden=8", "-q")
    assert status == 0, err
    assert Path("runs/my/model.safetensors").exists()
