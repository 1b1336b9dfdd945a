"""``rnnlm runs``."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_folders import records

HAS_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None


def test_a_table_a_group(call: Any, trained: Path) -> None:
    status, out, err = call("runs", trained)
    assert (status, err) == (0, "")
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
    for name in ("plain", "lstm", "ema", "chars"):
        log = records(trained / name)
        best = min((r for r in log if r["event"] == "valid"), key=lambda r: r["perplexity"])
        wanted = [f"{best['perplexity']:.2f}", str(best["epoch"]), f"{log[-1]['perplexity']:.2f}"]
        assert rows[name][:3] == wanted
        assert "finished" in rows[name]
    assert rows["lstm"][-3:] == ["lstm", "0.01", "null"]
    assert rows["ema"][-3:] == ["elman", "0.02", "ema"]
    assert out.count("validation text valid.txt; ") == 2
    assert "16 words" in out
    assert "2 tables: these runs have different validation texts or vocabularies" in out


def test_json(call: Any, trained: Path) -> None:
    status, out, err = call("runs", trained / "lstm", trained / "plain", "--json", "--sort", "name")
    assert (status, err) == (0, "")
    (group,) = json.loads(out)["groups"]
    assert [run["name"] for run in group["runs"]] == ["lstm", "plain"]
    lstm = group["runs"][0]
    assert lstm["settings"] == {"model.cell.type": "lstm", "train.learning_rate": 0.01}
    assert lstm["run"] == str(trained / "lstm")
    assert lstm["test_perplexity"] == records(trained / "lstm")[-1]["perplexity"]
    assert (lstm["state"], lstm["reason"], lstm["epoch"]) == ("finished", "epochs", 2)


def test_a_damaged_run_is_a_warning(call: Any, copied: Path) -> None:
    (copied / "lstm" / "model.safetensors").write_bytes(b"nothing")
    status, out, err = call("runs", copied, "-q", copied / "nowhere")
    assert (status, err) == (0, ""), "quiet"
    status, out, err = call("runs", copied, copied / "nowhere")
    assert status == 0
    assert "plain" in out
    assert "lstm" not in out
    assert [line.startswith("warning: ") for line in err.splitlines()] == [True, True]


@pytest.mark.skipif(not HAS_MATPLOTLIB, reason="no matplotlib")
def test_a_picture(call: Any, trained: Path, tmp_path: Path) -> None:
    for name, start in (("curves.png", b"\x89PNG"), ("curves.svg", b"<?xml")):
        status, out, err = call("runs", trained, "--plot", tmp_path / name, "--by", "updates")
        assert (status, err) == (0, "")
        assert "plain" in out
        assert (tmp_path / name).read_bytes().startswith(start)
    assert "--force replaces it" in call("runs", trained, "--plot", tmp_path / "curves.png")[2]
    assert call("runs", trained, "--plot", tmp_path / "curves.png", "--force")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'FOLDER...'"),
        (["{folder}/nowhere"], "nowhere: no such folder; give a run's folder, or one that runs lie in"),
        (["{empty}"], "empty.txt: not a folder; give a run's folder"),
        (["{folder}"], "no run in it, or up to 2 levels below"),
        (["{folder}", "{empty}"], "no run in any of these 2 places"),
        (["{run}", "--sort", "loss"], "--sort: found loss; must be one of validation, test"),
        (["{run}", "--by", "epochs"], "--by goes with --plot"),
        (["{run}", "--force"], "--force goes with --plot"),
        (["{run}", "--plot", "{folder}/a.pdf"], "a.pdf: a picture is written; name it NAME.png or NAME.svg"),
        (["{run}", "--plot", "{folder}/a.png", "--by", "tokens"], "'tokens' is not one of"),
    ],
)
def test_errors(refused: Callable[..., None], arguments: list[str], message: str) -> None:
    refused(["runs", *arguments], message)
