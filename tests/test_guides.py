"""Every command of the guides in docs/ does what the guide says."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mpi
import pytest
import web_runtime
from mpi import needs_mpi

import rnnlm
from rnnlm.interchange.web import runtime
from rnnlm.training.loggers import tensorboard
from rnnlm.work import Task

DOCS = Path(__file__).resolve().parents[1] / "docs"


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a language on a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)
    return found


def commands(page: str) -> list[str]:
    """The lines of a page's shell blocks."""
    return "".join(blocks(page, "sh")).splitlines()


def write_files(runs: dict[str, Path], config: Path) -> None:
    """The files that the commands read, in the current folder."""
    shutil.copytree(runs["word"], "runs/my")
    shutil.copytree(runs["word"], "runs/other")
    shutil.copytree(runs["char"], "runs/characters")
    shutil.copy(config, "my.yaml")
    sentences = ["the dog sees the cat", "a zebra sings"]
    shutil.copy("train.txt", "my.txt")
    Path("sentences.txt").write_text("".join(f"{line}\n" for line in sentences))
    shutil.copy("sentences.txt", "story.txt")
    recognised = ["<blk>", "<sos/eos>", "<unk>", "the", "dog", "sees"]
    Path("tokens.txt").write_text("".join(f"{token} {i}\n" for i, token in enumerate(recognised)))
    Path("utterances.txt").write_text("".join(f"utt-{i} {line}\n" for i, line in enumerate(sentences)))
    Path("prompts.txt").write_text("the dog\n\na bird\n")
    Path("stimuli.tsv").write_text("the dog\tA\nthe cats\tB\n")
    write_pairs()
    write_items()
    write_nbest()


def write_pairs() -> None:
    pair = {"sentence_good": "the cats sleep", "sentence_bad": "the cat sleep", "phenomenon": "agreement"}
    Path("agreement.jsonl").write_text(json.dumps(pair) + "\n")
    Path("order.tsv").write_text("good\tbad\tphenomenon\nthe dog sees\tsees the dog\torder\n")
    Path("good.txt").write_text("the cats sleep\n")
    Path("latin1.txt").write_text("the naïve cats sleep\n" * 100, encoding="latin-1")
    Path("bad.txt").write_text("the cat sleep\n")
    (suite,) = blocks("minimal_pairs.md", "json")
    for name in ("number.json", "npi.json"):
        Path(name).write_text(suite)


def write_items() -> None:
    rows = [
        "1 match subject the_dog 412",
        "1 match verb sees 365",
        "1 match object the 330",
        "1 match object cat 351",
    ]
    table = "".join(row.replace(" ", "\t").replace("_", " ") + "\n" for row in rows)
    Path("items.tsv").write_text(f"item\tcondition\tregion\tword\trt\n{table}{table.replace('match', 'mismatch')}")


def write_nbest() -> None:
    texts = ["the dog see the cat", "the dog sees the cat", "the cat sees", "the cats sleep"]
    table = "".join(f"u\t{text}\t{i / 4}\n" for i, text in enumerate(texts))
    for name in ("dev", "test"):
        Path(f"{name}.tsv").write_text(f"utterance\ttext\tscore\n{table}")
        Path(f"{name}.txt").write_text("u the dog sees the cat\n")
    ids = [f"u-{i}" for i in range(1, 5)]
    Path("words_text").write_text("".join(f"{id} {text}\n" for id, text in zip(ids, texts, strict=True)))
    for name in ("acwt", "lmwt.withlm"):
        Path(name).write_text("".join(f"{id} {i / 2}\n" for i, id in enumerate(ids)))
    whole = {"utterance": "l", "hypotheses": [{"text": text, "score": 0} for text in texts]}
    Path("lines.jsonl").write_text(json.dumps(whole) + "\n")


@pytest.mark.parametrize(
    ("page", "lines"),
    [
        ("scoring.md", {"scores.tsv": 3}),
        ("reading_times.md", {"words.tsv": 1 + 6 + 4, "regions.tsv": 1 + 6, "tokens.tsv": 1 + 6 + 4}),
        ("minimal_pairs.md", {"pairs.tsv": 3, "results.tsv": 3, "regions.tsv": 1 + 8}),
        ("sampling.md", {}),
        ("rescoring.md", {"test-best.txt": 1, "test-rescored.tsv": 1 + 4}),
        ("interchange.md", {"vectors.txt": 1 + 16, "tokens-vocab.txt": 6}),
        ("texts.md", {"vocab.txt": 16, "scores.tsv": 101, "pieces.txt": 300, "again.txt": 300, "words.tsv": 11}),
        ("gradients.md", {"parts.tsv": 1 + 36}),
    ],
)
def test_every_command_of_a_guide_runs(
    page: str, lines: dict[str, int], call: Any, runs: dict[str, Path], config: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """lines: of the files that they write."""
    if page == "texts.md":
        pytest.importorskip("sentencepiece")
    monkeypatch.chdir(tmp_path)
    write_files(runs, config)
    assert len(commands(page)) >= 5
    for line in commands(page):
        line = line.replace("--size 8000", "--size 300")  # of so short a text
        if "|" in line or not line.startswith("rnnlm "):
            found = subprocess.run(
                line.replace("rnnlm", f"{sys.executable} -m rnnlm"), shell=True, capture_output=True, text=True
            )
            assert (found.returncode, found.stderr) == (0, ""), line
            assert ">" in line or len(found.stdout.splitlines()) >= 3
        else:
            status, out, err = call(*shlex.split(line)[1:])
            assert status == 0, (line, err)
            assert "error: " not in err, line
            assert out or "-o" in line
    for file, count in lines.items():
        assert len(Path(file).read_text().splitlines()) == count, file


def test_every_command_of_the_guide_to_fine_tuning_runs(
    call: Any, runs: dict[str, Path], config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(runs, config)
    text = Path("train.txt")
    text.write_text(text.read_text().replace("dog", "wug"))
    assert len(commands("fine_tuning.md")) > 3
    for line in commands("fine_tuning.md"):
        status, out, err = call(*shlex.split(line)[1:])
        assert (status, "error: " in err) == (0, False), (line, err)
        assert "from the model" in out if "--plan" in line else "gives the weights" in err


def test_every_command_of_the_guide_to_large_vocabularies_runs(
    call: Any, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(config, "my.yaml")
    plan, train = commands("large_vocabularies.md")
    status, out, err = call(*shlex.split(plan)[1:])
    assert (status, "error: " in err) == (0, False), err
    assert "cutoffs" in out
    status, out, err = call(*shlex.split(train)[1:])
    assert (status, "error: " in err) == (0, False), err


def test_every_command_of_the_guide_to_several_texts_runs(
    call: Any, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(config, "my.yaml")
    Path("texts").mkdir()
    for name, source in (
        ("a", "train"),
        ("b", "test"),
        ("c", "valid"),
        ("d", "test"),
        ("texts/e", "train"),
        ("texts/f", "valid"),
    ):
        shutil.copy(f"{source}.txt", f"{name}.txt")
    assert len(commands("several_texts.md")) == 8
    for line in commands("several_texts.md"):
        status, out, err = call(*shlex.split(line)[1:])
        assert status == 0, (line, err)
        assert ("training text, " in err) == ("runs/two" in line or "data.train=texts" in line)
        assert ("validation perplexity of the best model by file: " in err) == ("runs/valid" in line)
        assert out.count("perplexity of ") == (2 if "runs/folder" in line else 0), line


def test_every_command_of_the_guide_to_runs_runs(
    call: Any, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained / "plain", "runs/my")
    shutil.copytree(trained / "lstm", "runs/other")
    assert len(commands("runs.md")) > 5
    for line in commands("runs.md"):
        status, out, err = call(*shlex.split(line)[1:])
        if "--plot" in line and importlib.util.find_spec("matplotlib") is None:
            assert "pip install '.[plot]'" in err, line
        else:
            assert (status, err) == (0, ""), line
            assert "other" in out


def test_every_command_of_the_guide_to_logging_runs(
    call: Any, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(config, "my.yaml")
    assert len(commands("logging.md")) == 2
    for line in commands("logging.md"):
        status, _, err = call(*shlex.split(line)[1:])
        if "tensorboard" in line and importlib.util.find_spec("tensorboardX") is None:
            assert "pip install '.[tensorboard]'" in err, line
        else:
            assert status == 0, (line, err)
    assert "--- sample after update 20\nthe dog" in err
    events = {json.loads(line)["event"] for line in Path("runs/b/log.jsonl").read_text().splitlines()}
    assert events == set(re.findall(r"^\| `(\w+)` \|", (DOCS / "logging.md").read_text(), re.M))
    if importlib.util.find_spec("tensorboardX") is not None:
        tags = set(re.findall(r"`((?:train|valid)/\w+)`", (DOCS / "logging.md").read_text()))
        assert tags == {tag for names in tensorboard._SCALARS.values() for tag in names.values()}
        assert Path("runs/a/validations.csv").read_text().startswith("updates,epoch,")
        assert [*Path("runs/a").glob("events.out.tfevents.*")]


@pytest.mark.filterwarnings("ignore")
def test_the_code_of_the_guide_to_other_programs_runs(
    call: Any, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("torch", "transformers", "minicons", "surprisal"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins.input", lambda question: "y")
    call("export", runs["word"], "--to", "hf", "-o", "my-hf")
    card = re.findall(r"^```python\n(.*?)^```", Path("my-hf/README.md").read_text(), re.M | re.S)
    model = rnnlm.load(runs["word"])
    wanted = [score.log_probability for score in model.surprisal("the dog sleeps\n", "reset")]
    guide = blocks("interchange.md", "python")
    assert (len(guide), len(card)) == (3, 2)
    found: dict[str, Any] = {}
    for block in guide:
        exec(block, found)
    assert found["log_probabilities"].tolist() == pytest.approx(wanted, abs=1e-5)
    bits = [-score / math.log(2) for score in wanted]
    assert [score for _, score in found["scores"][0][1:]] == pytest.approx(bits, abs=1e-4)
    assert [-float(score) for score in found["surprisals"]] == pytest.approx(wanted[:-1], abs=1e-4)
    for block in card:
        exec(block, {})


def test_every_command_of_the_guide_to_pages_runs(
    call: Any, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(runs["word"], "runs/my")
    archive = web_runtime.write_archive(Path(f"onnxruntime-web-{runtime.VERSION}.tgz"))

    def cached() -> Task[Path]:
        yield from ()
        return archive

    monkeypatch.setattr(runtime, "_cached", cached)
    for line in commands("web.md"):
        assert call(*shlex.split(line)[1:])[::2] == (0, ""), line
    for folder in ("page", "other"):
        names = [path.name for path in Path(folder).iterdir()]
        assert len(names) == 4
        assert all(f"`{name}`" in (DOCS / "web.md").read_text(encoding="utf-8") for name in names)


@needs_mpi
def test_every_command_of_the_guide_to_ranks_runs(
    runs: dict[str, Path], config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(runs, config)
    assert len(commands("distributed.md")) > 3
    for line in commands("distributed.md"):
        mpiexec, n, ranks, rnnlm, *arguments = shlex.split(line)
        assert (mpiexec, n, rnnlm) == ("mpiexec", "-n", "rnnlm")
        found = mpi.rnnlm(int(ranks), *arguments)
        assert (found.returncode, mpi.errors(found)) == (0, []), line
