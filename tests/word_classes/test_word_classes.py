"""Word classes of a run: from a file or the text, kept in its model, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import settings, write_texts

from rnnlm import api
from rnnlm.config.schema import Config
from rnnlm.errors import InputError, ModelError
from rnnlm.files import model_file
from rnnlm.files import tensors as storage
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.word_classes import class_file

WORDS = Vocabulary(["the", "dog", "</s>", "<unk>"], [4, 3, 2, 0], "word", False)


def configured(folder: Path, output: dict[str, Any]) -> Config:
    write_texts(folder)
    values = settings(folder, epochs=1).model_dump()
    values["model"]["output"] = {"type": "classes", **output}
    return Config.model_validate(values)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "c.txt", "\ufeffdog\tnoun\r\n\ncat\tanimal\nthe\tdet\n<unk>\tnoun\n</s>\tend of line\n")
    np.testing.assert_array_equal(class_file.read(path, WORDS, 3), [0, 1, 2, 1])


@pytest.mark.parametrize(
    ("text", "classes", "message"),
    [
        ("the\ta\ndog\tb\n</s>\tb\n", 2, "no class for '<unk>' of the vocabulary; add a line: token TAB class"),
        ("the\ta\n", 1, "no class for 'dog' and 2 other tokens of the vocabulary"),
        ("", 1, "no class for 'the' and 3 other tokens"),
        ("the\ta\nthe\tb\n", 1, "c.txt:2: 'the' stands on an earlier line too; remove one of them"),
        ("the a\n", 1, "c.txt:1: found 'the a'; a line is: token TAB class"),
        ("the\t \n", 1, r"c.txt:1: found 'the\\t '; a line is: token TAB class"),
        ("the\ta\ndog\tb\n</s>\tb\n<unk>\tb\n", 3,
         "tokens are in 2 classes, model.output.classes is 3; set model.output.classes: 2"),
    ],
)  # fmt: skip
def test_a_file_is_refused(text: str, classes: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as error:
        class_file.read(written(tmp_path / "c.txt", text), WORDS, classes)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_bytes(b"the\ta\n\xff\n")
    with pytest.raises(InputError, match="c.txt: not UTF-8 at byte 7"):
        class_file.read(tmp_path / "c.txt", WORDS, 1)


@pytest.fixture
def by_file(tmp_path: Path) -> Config:
    config = configured(tmp_path, {"classes": 3})
    tokens = {word for line in (tmp_path / "train.txt").read_text().splitlines() for word in line.split()}
    tokens |= {"</s>", "<unk>"}
    path = written(tmp_path / "c.txt", "".join(f"{token}\t{len(token) % 3}\n" for token in sorted(tokens)))
    values = config.model_dump()
    values["model"]["output"]["by"] = {"type": "file", "path": str(path)}
    return Config.model_validate(values)


def test_a_model_keeps_the_classes_of_a_file(by_file: Config) -> None:
    model = api.train(by_file)
    Path(by_file.model_dump()["model"]["output"]["by"]["path"]).unlink()
    loaded = api.load(by_file.run)
    own = loaded.network.tables["class"]
    lengths = [len(token) % 3 for token in loaded.vocabulary.tokens]
    assert len({(int(k), n) for k, n in zip(own, lengths, strict=True)}) == 3
    assert loaded.perplexity("the dog sees the cat") == model.perplexity("the dog sees the cat")


def test_a_model_keeps_the_classes_of_an_exchange(tmp_path: Path) -> None:
    config = configured(tmp_path, {"by": "exchange", "classes": 4})
    model = api.train(config)
    kept = model_file.load(config.run).vocabulary.classes
    assert kept is not None
    np.testing.assert_array_equal(kept, model.network.tables["class"])
    by_frequency = model.network.output.tables(model.vocabulary.counts)["class"]
    assert (kept != by_frequency).any()


@pytest.mark.parametrize("damage", [None, [0, 1, 2], "rise", "gap"])
def test_a_model_without_its_classes_is_damaged(damage: Any, by_file: Config) -> None:
    api.train(by_file)
    path = Path(by_file.run) / model_file.MODEL
    tensors, metadata = storage.read_tensors(path)
    own = metadata.pop("classes")
    if damage is not None:
        changed = {"rise": [k + 1 for k in own], "gap": [min(k, 1) for k in own]}
        metadata["classes"] = damage if isinstance(damage, list) else changed[damage]
    storage.write_tensors(path, tensors, metadata)
    with pytest.raises(ModelError, match=r"damaged: the header does not hold a model \(classes: not "):
        model_file.load(path)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"classes": 1000}, "model.output.classes: found 1,000; the vocabulary has"),
        ({"classes": 1000, "by": "exchange"}, "model.output.classes: found 1,000; the vocabulary has"),
        ({"by": {"type": "file", "path": "nowhere.txt"}}, "nowhere.txt"),
    ],
)
def test_a_run_is_refused_before_it_begins(output: dict[str, Any], message: str, tmp_path: Path) -> None:
    config = configured(tmp_path, output)
    with pytest.raises(InputError, match=message) as error:
        api.train(config)
    assert "\n" not in str(error.value)
    assert not (Path(config.run) / model_file.MODEL).exists()
