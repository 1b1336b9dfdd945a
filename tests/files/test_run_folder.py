"""A folder that holds a run: what goes on with it, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from training_runs import records, sha256, write_text

import rnnlm
from rnnlm.config import file as config_file
from rnnlm.corpora import cache
from rnnlm.errors import ConfigError, InputError, ModelError
from rnnlm.training.loop import train
from rnnlm.training.records import End


def test_an_existing_run_is_not_overwritten(make_config: Any) -> None:
    config = make_config(epochs=1)
    list(train(config))
    before = sha256(config)
    with pytest.raises(ModelError, match=r"--resume goes on with it, --run DIR starts another, --restart"):
        list(train(config))
    assert sha256(config) == before


def test_a_run_of_another_configuration(make_config: Any) -> None:
    config = make_config(epochs=1)
    list(train(config))
    other = config.model_copy(update={"model": config.model.model_copy(update={"hidden": 9})})
    with pytest.raises(ConfigError, match=r"model\.hidden: 8, the configuration 9"):
        list(train(other, resume=True))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"optimizer": "adam"}, r"train\.optimizer\.type: sgd, the configuration adam;"),
        (
            {"optimizer": {"type": "sgd", "weight_decay": 0.1}},
            r"train\.optimizer\.weight_decay: 0.0, the configuration 0.1;",
        ),
        ({"average": "ema"}, r"train\.average: null, the configuration {type: ema, decay: 0.999};"),
    ],
)
def test_the_option_that_differs_is_named(make_config: Any, keys: dict[str, Any], message: str) -> None:
    config = make_config(epochs=1)
    list(train(config))
    other = make_config(epochs=1, **keys).model_copy(update={"run": config.run})
    with pytest.raises(ConfigError, match=message):
        list(train(other, resume=True))


def test_what_may_differ_when_a_run_goes_on(make_config: Any) -> None:
    config = make_config(epochs=1)
    list(train(config))
    changed = {
        "checkpoint": {"every_updates": 2, "every_minutes": 1},
        "log": {"every_updates": 1},
        "max_updates": 1000,
    }
    other = make_config(epochs=2, patience=None, **changed).model_copy(update={"run": config.run})
    assert records(other, End, resume=True)[0].reason == "epochs"


@pytest.mark.parametrize("name", ["notes.txt", "config.yaml", "text.txt", ".git"])
@pytest.mark.parametrize("restart", [False, True])
def test_a_folder_with_other_files_is_no_runs_folder(make_config: Any, name: str, restart: bool) -> None:
    config = make_config(epochs=1)
    folder = Path(config.run)
    folder.mkdir()
    (folder / name).write_text("data: {train: my.txt}  # mine")
    with pytest.raises(ModelError, match=f"holds {name} and is no run's folder"):
        list(train(config, restart=restart))
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_text() == "data: {train: my.txt}  # mine"


@pytest.mark.parametrize("run", ["", ".", "/", "a file"])
def test_a_place_that_is_no_runs_folder(make_config: Any, tmp_path: Path, run: str, monkeypatch: Any) -> None:
    config = make_config(epochs=1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").write_text("")
    with pytest.raises(ModelError, match="name a new one"):
        list(train(config.model_copy(update={"run": run})))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a file", "train.txt", "valid.txt"]


def test_an_empty_folder_and_one_that_a_training_was_killed_in_are_taken(make_config: Any) -> None:
    config = make_config(epochs=1)
    Path(config.run).mkdir()
    list(train(config))
    for name in ("model.safetensors", "state.safetensors"):
        (Path(config.run) / name).unlink()
    (Path(config.run) / ".model.safetensors.1-ab.tmp").write_text("cut")
    list(train(config))


def test_a_run_keeps_the_users_notes(make_config: Any) -> None:
    config = make_config(epochs=1)
    list(train(config))
    (Path(config.run) / "notes.txt").write_text("mine")
    list(train(config, restart=True))
    assert (Path(config.run) / "notes.txt").read_text() == "mine"


def test_a_model_without_a_state_is_not_trained_over(make_config: Any) -> None:
    config = make_config(epochs=1)
    list(train(config))
    (Path(config.run) / "state.safetensors").unlink()
    before = sha256(config)
    with pytest.raises(ModelError, match=r"no state\.safetensors to go on from; .*--restart throws it away"):
        list(train(config, resume=True))
    assert sha256(config) == before


def test_the_written_configuration_keeps_the_users_comments(make_config: Any) -> None:
    config = make_config(epochs=2, max_updates=3)
    list(train(config))
    path = Path(config.run) / "config.yaml"
    path.write_text(path.read_text() + "# a note of mine\n")
    list(train(config_file.load(path), resume=True))
    assert path.read_text().endswith("# a note of mine\n")


def test_a_refused_restart_leaves_the_run(make_config: Any) -> None:
    config = make_config(epochs=1)
    list(train(config))
    before = sha256(config)
    wrong = config.model_dump()
    wrong["embedding"]["init"] = {"type": "file", "path": "/none/vectors.txt", "scale": 0.1}
    with pytest.raises(InputError, match="No such file"):
        list(train(config_file.validate(wrong), restart=True))
    assert sha256(config) == before


def relative(config: Any) -> Any:
    """The same configuration with paths that count from its texts' folder."""
    values = config.model_dump()
    values["data"] |= {name: Path(values["data"][name]).name for name in ("train", "valid")}
    values["run"] = Path(values["run"]).name
    return config_file.validate(values)


def test_a_model_does_not_depend_on_where_it_was_trained(make_config: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """And a run that goes on from elsewhere, by its own config.yaml, ends with the same bytes."""
    monkeypatch.chdir(tmp_path)
    whole, parts = (relative(make_config(epochs=2, patience=None)) for _ in range(2))
    list(train(whole))
    updates = iter([*[False] * 4, True])
    list(train(parts, stop=lambda: next(updates)))
    own = config_file.load(Path(parts.run) / "config.yaml")
    assert own.data.train == str(tmp_path / "train.txt")
    assert own.run == str(tmp_path / parts.run)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    list(train(own, resume=True))
    hashes = {sha256(config.model_copy(update={"run": str(tmp_path / config.run)})) for config in (whole, parts)}
    assert len(hashes) == 1
    model = rnnlm.load(tmp_path / parts.run)
    assert model.config.data.train == "train.txt"
    assert model.own_text() == tmp_path / "valid.txt"


def test_another_text_of_that_name_is_not_the_runs_own(make_config: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    config = relative(make_config(epochs=1))
    list(train(config))
    run = tmp_path / config.run
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "valid.txt").write_text("another text\n" * 50)
    monkeypatch.chdir(elsewhere)
    assert rnnlm.load(run).own_text() == tmp_path / "valid.txt"
    (tmp_path / "valid.txt").unlink()
    with pytest.raises(InputError, match="no longer the validation text"):
        rnnlm.load(run).own_text()


def test_a_run_whose_text_moved_goes_on(make_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(epochs=1)
    list(train(config))
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "empty")  # else it goes on with what is kept there
    (tmp_path / "empty").mkdir()
    moved = tmp_path / "moved.txt"
    (tmp_path / "train.txt").rename(moved)
    with pytest.raises(ModelError, match=r"train\.txt: no such file; .*--set data\.train=PATH"):
        list(train(config, resume=True))
    longer = config.model_dump()
    longer["data"]["train"], longer["train"]["epochs"] = str(moved), 2
    assert records(config_file.validate(longer), End, resume=True)[0].epoch == 2


@pytest.mark.parametrize("changed", ["train", "valid"])
def test_a_run_goes_on_with_its_own_texts_alone(make_config: Any, tmp_path: Path, changed: str) -> None:
    config = make_config(epochs=1)
    list(train(config))
    write_text(tmp_path / f"{changed}.txt", 70, 9)
    with pytest.raises(ModelError, match=f"{changed}.txt: not the text that .* was trained with"):
        list(train(config, resume=True))


def test_a_run_goes_on_with_the_texts_that_it_keeps(make_config: Any, tmp_path: Path) -> None:
    """Its source need not be there any more."""
    values = make_config(epochs=1, max_updates=2).model_dump()
    values["data"] |= {"text": values["data"]["train"], "train": None, "valid": None, "split": [0.8, 0.1, 0.1]}
    config = config_file.validate(values)
    list(train(config))
    (tmp_path / "train.txt").unlink()
    longer = config.model_copy(update={"train": config.train.model_copy(update={"max_updates": 4})})
    assert records(longer, End, resume=True)[0].updates == 4
