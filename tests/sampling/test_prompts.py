"""Prompts, from a file and together."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import rnnlm
from rnnlm.errors import InputError, TextError
from rnnlm.sampling import prompts

PROMPTS = ["the dog", "", "a", "the cats sleep and the dog", "a zebra", " ", "the\tdog "]


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
@pytest.mark.parametrize(
    "more", [{}, {"top_p": 0.9, "repetition_penalty": 1.3}, {"stop": ("s", "\n"), "no_repeat": 3}]
)
def test_each_prompt_is_sampled_as_if_it_were_alone(
    runs: dict[str, Path], unit: str, more: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last bit of the log-probabilities, whatever is drawn beside it."""
    model = rnnlm.load(runs[unit])
    alone = [sample for prompt in PROMPTS for sample in model.sample_scored(prompt, 30, count=3, seed=4, **more)]
    for together in (64, 7, 1):
        monkeypatch.setattr(prompts, "_TOGETHER", together)
        assert model.sample_scored(PROMPTS, 30, count=3, seed=4, **more) == alone
    for i, prompt in enumerate(PROMPTS):
        assert [sample.text for sample in alone[3 * i : 3 * i + 3]] == model.samples(3, prompt, 30, seed=4, **more)


@pytest.mark.parametrize(
    ("data", "unit", "message"),
    [
        (b"", "word", "prompts.txt: empty; give a prompt a line"),
        (b"\xef\xbb\xbf", "char", "prompts.txt: empty; give a prompt a line"),
        (b"the\ndog \xff\n", "word", "prompts.txt:2: not UTF-8 at byte 5 of the line (0xff)"),
        (b"the\na\nthe </s> dog\n", "word", "prompts.txt:3: found the word </s>, the line end's own"),
        (b"\x1f\x8bno gzip", "word", "prompts.txt: damaged gzip file"),
    ],
)
def test_files_that_are_none(runs: dict[str, Path], tmp_path: Path, data: bytes, unit: str, message: str) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes(data)
    with pytest.raises((InputError, TextError)) as found:
        prompts.read(path, rnnlm.load(runs[unit]).vocabulary)
    assert str(found.value).removeprefix(f"{tmp_path}/").startswith(message)
    assert "\n" not in str(found.value)


def test_bytes_that_are_no_text_as_prompts(runs: dict[str, Path], tmp_path: Path) -> None:
    vocabulary = rnnlm.load(runs["byte"]).vocabulary
    (tmp_path / "prompts.txt").write_bytes(b"the\ndog \xff\n")
    found = prompts.read(tmp_path / "prompts.txt", vocabulary)
    assert [prompt.text for prompt in found] == ["the", "dog \ufffd"]
    assert len(found[1].ids) == 5
    with pytest.raises(InputError, match="^key: not UTF-8 at character 5"):
        prompts.encode("dog \udcff", vocabulary, "key", any_bytes=False)


def test_lines_as_prompts(runs: dict[str, Path], tmp_path: Path) -> None:
    vocabulary = rnnlm.load(runs["word"]).vocabulary
    data = b"\xef\xbb\xbfthe dog\r\n\n  a zebra"
    (tmp_path / "plain").write_bytes(data)
    (tmp_path / "packed").write_bytes(gzip.compress(data))
    for name in ("plain", "packed"):
        found = prompts.read(tmp_path / name, vocabulary)
        assert [prompt.text for prompt in found] == ["the dog", "", "  a zebra"]
        assert [[vocabulary.tokens[id] for id in prompt.ids] for prompt in found] == [
            ["the", "dog"], [], ["a", "<unk>"],
        ]  # fmt: skip
        assert [prompt.unknown and prompt.unknown.text for prompt in found] == [
            None,
            None,
            f"{tmp_path / name}:3: not in the vocabulary, read as <unk>: 'zebra'",
        ]


@pytest.mark.parametrize(
    ("samples", "sizes"), [(1, [64, 36]), (5, [12 * 5] * 8 + [4 * 5]), (64, [64] * 100), (100, [64, 36] * 100)]
)
def test_batches(samples: int, sizes: list[int]) -> None:
    found = list(prompts.batches(range(100), samples))
    assert [len(batch) * len(part) for batch, part in found] == sizes
    each = [(i, number) for batch, part in found for i in batch for number in part]
    assert each == [(i, number) for i in range(100) for number in range(samples)]


def test_many_samples_are_those_of_few(runs: dict[str, Path]) -> None:
    """Of 150 samples no more than 64 are drawn at once."""
    model = rnnlm.load(runs["word"])
    many = model.samples(150, "the dog", 5, top_k=5)
    assert many[:40] == model.samples(40, "the dog", 5, top_k=5)
    assert len(set(many)) > 10
    assert many[64:] != many[:86], "each has random numbers of its own"
