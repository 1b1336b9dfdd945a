"""Ranks that share out eval, score and rescore: the bytes of one process, and one line where something is wrong."""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import mpi
import pytest
from every_cell import every_cell
from mpi import needs_mpi
from networks import Case, config
from small import LINES

from rnnlm.errors import InputError
from rnnlm.evaluation import stretches
from rnnlm.ranks.sharing import Workers, evenly

# -- what can be said without MPI


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_stretches_are_even_and_none_is_empty(count: int) -> None:
    generator = random.Random(count)
    for length in (1, 2, 3, 10, 200):
        sizes = [generator.randint(1, 30) for _ in range(length)]
        found = evenly(range(length), sizes, count)
        assert [i for part in found for i in part] == list(range(length))
        assert 1 <= len(found) <= count
        totals = [sum(sizes[i] for i in part) for part in found]
        assert min(map(len, found)) > 0
        assert max(totals) <= sum(sizes) / count + 30
    assert [list(part) for part in evenly("abcd", [1, 1, 1, 1], 2)] == [["a", "b"], ["c", "d"]]


def _root(number: int) -> float:
    if number < 0:
        raise InputError(f"{number}: below 0")
    return float(number**0.5)


def test_one_process_computes_one_part_after_the_other() -> None:
    workers = Workers(_root)
    assert workers.count == 1
    found = workers.results([1, 4, -1, 9])
    assert [next(found), next(found)] == [1, 2]
    with pytest.raises(InputError, match="-1: below 0"):
        next(found)


@every_cell
def test_a_network_can_be_pickled(model: dict[str, Any]) -> None:
    case = Case(config(layers=2, model=model | {"layer_norm": True}, dropout=0.2))
    copy = Case(pickle.loads(pickle.dumps(case.network)))
    wanted, found = case.loss(5, (1, 2)), copy.loss(5, (1, 2))
    assert wanted == found
    for name, value in case.gradients(5).items():
        assert value.tobytes() == copy.gradients(5)[name].tobytes(), name


def test_a_carried_state_is_not_shared_out() -> None:
    stretches.check_state("carry", None)

    class Two:
        size = 2

    for state in ("carry", "document"):
        with pytest.raises(
            InputError, match=f"state {state}: .* 2 ranks cannot share the lines out; give --state reset"
        ):
            stretches.check_state(state, Two())  # type: ignore[arg-type]


def test_ordinary_scoring_imports_nothing_of_mpi(runs: dict[str, Path], tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the dog\n")
    code = (
        "import sys; from rnnlm import cli; cli.main();assert not {'mpi4py', 'rnnlm.ranks.watch'} & set(sys.modules)"
    )
    for command in (["score"], ["eval", "--state", "reset", "--quiet"]):
        arguments = [sys.executable, "-c", code, *command, str(runs["word"]), str(text)]
        found = subprocess.run(arguments, capture_output=True, text=True)
        assert found.returncode == 0, found.stderr
        assert found.stdout


# -- by ranks


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text of lines of many lengths, with unknown words."""
    generator, path = random.Random(3), tmp_path_factory.mktemp("text") / "text.txt"
    words = [*" ".join(LINES).split(), "zebra"]
    lines = [" ".join(generator.choices(words, k=generator.randrange(12))) for _ in range(700)]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def items(text: Path) -> Path:
    """A table with an item for each line that has words."""
    path = text.with_name("items.tsv")
    rows = [
        f"{i}\t{j % 3}\t{word}\n"
        for i, line in enumerate(text.read_text().splitlines()[:99])
        for j, word in enumerate(line.split()[:3])
    ]
    path.write_text("item\tregion\tword\n" + "".join(rows))
    return path


@pytest.fixture(scope="module")
def nbest(text: Path) -> Path:
    """Two batches of hypotheses, and a third of a few."""
    path, lines = text.with_name("nbest.tsv"), text.read_text().splitlines()
    rows = [f"u{i // 6}\t{lines[i * i % 700]}\t{-i % 7}\n" for i in range(4110)]
    path.write_text("utterance\ttext\tscore\n" + "".join(rows))
    return path


@needs_mpi
@pytest.mark.parametrize("ranks", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_ranks_write_the_bytes_of_one_process(
    call: Any, runs: dict[str, Path], text: Path, items: Path, nbest: Path, ranks: int
) -> None:
    every = ["--by", "word", "--columns", "all", "--format", "jsonl", "--no-line-end"]
    for arguments in (
        ["score", runs["word"], text, *every],
        ["score", runs["char"], text],
        ["score", runs["word"], items, "--input-columns", "item,region,word"],
        ["rescore", runs["word"], nbest, "--weight", "0.5"],
    ):
        words = [*map(str, arguments), "--threads", "1"]
        status, out, err = call(*words)
        found = mpi.rnnlm(ranks, *words)
        assert (status, found.returncode) == (0, 0), found.stderr
        assert found.stdout == out, words
        assert len(out) > 100
        assert found.stderr.splitlines() == err.splitlines()


@needs_mpi
def test_ranks_evaluate_as_one_process_does(call: Any, runs: dict[str, Path], text: Path, tmp_path: Path) -> None:
    def evaluated(ranks: int, *more: str) -> tuple[dict[str, Any], bytes]:
        path = tmp_path / "tokens.tsv"
        words = ["eval", str(runs["word"]), str(text), "--state", "reset", "--json", "--threads", "1", *more]
        figures = json.loads(call(*words)[1] if ranks == 1 else mpi.rnnlm(ranks, *words).stdout)
        assert figures.pop("seconds") > 0
        assert figures.pop("tokens_per_second") > 0
        return figures, path.read_bytes() if more else b""

    table = ["--per-token", str(tmp_path / "tokens.tsv"), "--columns", "all", "--force"]
    one, with_table = evaluated(1), evaluated(1, *table)
    assert one[0]["unknown"] > 0
    assert one[0] == with_table[0]
    assert len(with_table[1]) > 10_000
    assert evaluated(3) == one
    assert evaluated(3, *table) == with_table


@needs_mpi
def test_what_is_wrong_is_one_line(runs: dict[str, Path], text: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.txt"
    wrong.write_text(text.read_text() + "a </s> b\n")
    model = str(runs["word"])
    for arguments, message in (
        (["eval", model, str(text), "--state", "carry"], "give --state reset, or leave mpiexec out"),
        (["eval", model, str(text), "--cache"], "are computed by one process, and mpiexec has started 2"),
        (["rescore", str(tmp_path), str(text), "--weight", "1"], "model.safetensors"),
        (["score", model, str(wrong)], "wrong.txt:701: "),
    ):
        found = mpi.rnnlm(2, *arguments)
        assert found.returncode != 0
        (line,) = mpi.errors(found)
        assert message in line
        assert "rank" not in line.split(":")[1], "it is not the rank that is wrong"
        assert "Traceback" not in found.stderr


@needs_mpi
def test_lines_are_answered_as_they_come_and_a_rank_that_dies_ends_all(runs: dict[str, Path]) -> None:
    arguments = mpi.command(2, "-m", "rnnlm", "score", str(runs["word"]), "--columns", "line,text")
    with subprocess.Popen(
        arguments, env=mpi.ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            said = _answers(process, str(runs["word"]))
        finally:
            process.kill()
    assert process.returncode != 0
    assert said.startswith("error: rank 1 (")
    assert said.endswith(" has died; all ranks end")


def _answers(process: subprocess.Popen[bytes], model: str) -> str:
    """Ask for the scores of some lines, one after the other, then kill rank 1; returns the error."""
    assert process.stdin is not None
    assert process.stdout is not None
    for number, line in enumerate(LINES[:3], 1):
        process.stdin.write(f"{line}\n".encode())
        process.stdin.flush()
        if number == 1:
            assert process.stdout.readline() == b"line\ttext\n"
        assert process.stdout.readline().decode() == f'{number}\t"{line}"\n'
    os.kill(mpi.ranks_of(model)[1], signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    (said,) = [line for line in err.decode().splitlines() if line.startswith("error: ")]
    return said
