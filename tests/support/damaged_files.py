"""Damages files of runs by seed, feeds each to a command, and counts crashes, tracebacks, internal errors, hangs.

    python tests/support/damaged_files.py --files 2000 --kinds 10 --seed 1
    python tests/support/damaged_files.py --seed 1 --only 137          # one of them again, with what it said

Kernels trust their input, so whatever reads a file has to know it whole. A command runs in a fork of one process
that has imported everything and has run each command once: a crash is counted, and the imports are paid once. The
last line of the output is a JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if hasattr(os, "sched_setaffinity"):  # one thread everywhere: threads do not survive a fork
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import numpy as np
import small
from safetensors.numpy import save_file

from rnnlm import api, cli
from rnnlm.config import file as config_file
from rnnlm.errors import NotFiniteError
from rnnlm.files import tensors as storage

HANGS_AFTER = 60.0  # seconds

# Kinds of runs: the unit, the section model, keys of the section train.
KINDS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("word", {}, {}),
    ("byte", {}, {"optimizer": "sgd", "learning_rate": 0.5}),
    ("char", {}, {}),
    ("word", {"cell": "lstm", "layers": 2}, {"average": "ema", "optimizer": "adamw"}),
    ("char", {"cell": "gru", "dropout": 0.2}, {"state": "reset", "precision": "float64"}),
    ("byte", {"cell": "mingru", "layer_norm": True}, {"optimizer": "momentum"}),
    ("word", {"output": {"type": "mixture", "softmaxes": 2}, "tie_weights": True}, {"optimizer": "nadam"}),
    ("word", {"cell": {"type": "scrn", "context": 3}}, {"optimizer": "rmsprop", "gradient_noise": 0.01}),
    ("char", {"cell": "gru_before", "hidden": [16, 8]}, {"average": {"type": "asgd", "patience": 1}}),
    ("word", {"cell": {"type": "lstm", "peepholes": True}}, {"precision": "bfloat16", "optimizer": "lion"}),
]
UPDATES = 30


class Case(NamedTuple):
    """A damaged copy of a run and the command that reads it."""

    what: str  # the file, and what was done to it
    command: list[str]
    folder: Path


def make_runs(folder: Path, kinds: int) -> list[Path]:
    """Train the runs, each with its PyTorch weights beside it where PyTorch has such a module."""
    small.write_texts(folder)
    found = []
    for number, (unit, model, train) in enumerate(KINDS[:kinds]):
        config = small.settings(folder, unit, f"run{number}", max_updates=UPDATES, **train)
        values = config.model_dump()
        values["model"] |= model
        config = config_file.validate(values)
        Path(f"{config.run}.yaml").write_text(config_file.dump(config))
        api.train(config)
        found.append(Path(config.run))
    return found


# -- damage
# -----------------------------------------------------------------------------------------------------------------


def damage_bytes(draw: random.Random, content: bytes) -> tuple[str, bytes]:
    """Truncation, flipped bits, swapped, repeated, lost and foreign pieces."""
    data = bytearray(content or b"\0")
    a, b = sorted(draw.randrange(len(data) + 1) for _ in range(2))
    # Most of what can go wrong stands at the beginning.
    if draw.random() < 0.5:
        a, b = sorted(draw.randrange(min(len(data), 400) + 1) for _ in range(2))
    kind = draw.choice(["truncated", "bits", "swapped", "repeated", "lost", "zeros", "noise", "inserted"])
    if kind == "truncated":
        del data[a:]
    elif kind == "bits":
        for _ in range(draw.choice([1, 1, 1, 5, 50])):
            data[draw.choice([min(a, len(data) - 1), draw.randrange(len(data))])] ^= 1 << draw.randrange(8)
    elif kind == "swapped":
        size = min(draw.choice([1, 4, 64]), len(data))
        a, b = (draw.randrange(len(data) - size + 1) for _ in range(2))
        data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]
    elif kind == "repeated":
        data[b:b] = data[a:b]
    elif kind == "lost":
        del data[a:b]
    elif kind == "zeros":
        data[a:b] = bytes(b - a)
    elif kind == "noise":
        data[a:b] = draw.randbytes(b - a)
    else:
        data[a:a] = draw.choice([b"9" * 6000, b"[" * 5000, b"\xff\xfe", b"-", b"1e999", b"NaN", b"null", b'"', b"\n"])
    return kind, bytes(data)


STRANGE: list[Any] = [
    None, True, -1, 0, 3, 10**6, 2**53, 2**63, 2**64, -(2**70), 1.5, -0.0, float("nan"), float("inf"), 1e308, "", "x",
    "</s>", "<unk>", "\n", "é\u202e\x1b[2J", "\ud800", "/dev/zero", "x" * 10_000, [], [1], {}, {"a": 1}, [[[[1]]]],
]  # fmt: skip


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The keys that lead to each value inside of JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above, *(place for key, item in inner for place in places(item, (*above, key)))]


def edit_metadata(draw: random.Random, metadata: Any) -> str:
    """Another value in a value's place, or a value less."""
    found = [place for place in places(metadata) if place]
    few = [place for place in found if place[0] not in ("vocabulary", "counts")]
    *above, key = draw.choice(draw.choice([found, few, few]))
    part = metadata
    for step in above:
        part = part[step]
    where = ".".join(map(str, (*above, key)))
    if draw.random() < 0.2:
        del part[key]
        return f"{where} deleted"
    part[key] = draw.choice(STRANGE)
    return f"{where} = {ascii(part[key])[:40]}"


def edit_tensors(draw: random.Random, arrays: dict[str, np.ndarray]) -> str:
    """Another shape, type, name or numbers of a tensor."""
    name = draw.choice(sorted(arrays))
    array = arrays[name]
    kind = draw.choice(
        ["nan", "inf", "huge", "negative", "shorter", "turned", "type", "gone", "renamed", "of another"]
    )
    if kind in ("nan", "inf", "huge") and array.size and array.dtype.kind == "f":
        arrays[name] = array.copy()
        large = float(np.finfo(array.dtype).max)
        arrays[name].reshape(-1)[draw.randrange(array.size)] = {"nan": np.nan, "inf": np.inf, "huge": large}[kind]
    elif kind == "negative":
        arrays[name] = -array - 1
    elif kind == "shorter":
        arrays[name] = array[: len(array) // 2] if array.ndim else array
    elif kind == "turned":
        arrays[name] = array.T if draw.random() < 0.5 else array.reshape(-1)
    elif kind == "type":
        arrays[name] = array.astype(draw.choice(["f8", "f4", "f2", "i4", "u1", "?"]))
    elif kind == "gone":
        del arrays[name]
    elif kind == "renamed":
        arrays[draw.choice([f"{name}x", "cell.9.H", "output.9", "x", ""])] = arrays.pop(name)
    else:
        arrays[name] = arrays[draw.choice(sorted(arrays))]
    return f"{name} {kind}"


def edit_safetensors(draw: random.Random, path: Path) -> str:
    """Edits with the right checksums: what a program that writes such files could have written."""
    arrays, metadata = storage.read_tensors(path)
    edits = []
    for _ in range(draw.choice([1, 1, 2])):
        with np.errstate(all="ignore"):
            edits.append(edit_tensors(draw, arrays) if draw.random() < 0.4 else edit_metadata(draw, metadata))
    try:
        storage.write_tensors(path, arrays, metadata)
    except NotFiniteError:  # we do not write such a file; others may
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path,
                  {"rnnlm": json.dumps(metadata)})  # fmt: skip
    except UnicodeEncodeError:  # half a pair of surrogates
        return f"{path.name} as it was"
    return f"{path.name}: {'; '.join(edits)}"


# -- commands
# -----------------------------------------------------------------------------------------------------------------


def commands(run: Path, texts: Path, updates: int) -> dict[str, list[list[str]]]:
    """The commands that read each file of a run, by the file's ending."""
    config, text, out = f"{texts / run.name}.yaml", str(texts / "test.txt"), str(run.parent / "out" / "x")
    resume = ["train", config, "--run", str(run), "--resume", "--quiet", "--set", f"train.max_updates={updates}"]
    model = [
        ["eval", str(run), text], ["eval", str(run)], ["sample", str(run), "--tokens", "5"], ["inspect", str(run)],
        ["inspect", str(run), "--json"], ["export", str(run), "-o", f"{out}.safetensors"],
        ["gradients", str(run), text], ["eval", str(run), text, "--per-token", f"{out}.tsv"],
        ["export", str(run), "--to", "onnx", "-o", f"{out}.onnx"],
    ]  # fmt: skip
    state = str(run / "state.safetensors")
    return {
        "model.safetensors": model,
        "state.safetensors": [resume, resume, ["eval", state, text], ["inspect", state]],
        "config.yaml": [["vocab", str(run / "config.yaml"), "-o", f"{out}.txt"], resume],
        "torch.safetensors": [["import", str(run / "torch.safetensors"), "-o", f"{out}.safetensors"]],
        "vocab.txt": [resume],
        "log.jsonl": [resume],
        ".ids": [resume],
        ".json": [resume],
    }


def fresh_copy(run: Path, scratch: Path) -> Path:
    """The run, copied to `scratch`, and an empty folder for what a command writes."""
    copy, out = scratch / run.name, scratch / "out"
    for folder in (copy, out):
        shutil.rmtree(folder, ignore_errors=True)
    out.mkdir()
    shutil.copytree(run, copy)
    return copy


def make_case(seed: int, runs: list[Path], scratch: Path) -> Case:
    """A damaged copy of one of the runs, drawn by seed."""
    draw = random.Random(seed)
    original = draw.choice(runs)
    run = fresh_copy(original, scratch)
    by_file = commands(run, original.parent, UPDATES + 3)
    files = sorted(path for path in run.rglob("*") if path.is_file() and of(path, by_file))
    weights = [6 if path.suffix == ".safetensors" else 2 if path.suffix in (".ids", ".json") else 1 for path in files]
    path = draw.choices(files, weights)[0]
    if path.suffix == ".safetensors" and draw.random() < 0.6:
        what = edit_safetensors(draw, path)
    else:
        kind, content = damage_bytes(draw, path.read_bytes())
        path.write_bytes(content)
        what = f"{path.name}: {kind}"
    return Case(f"{original.name}/{what}", draw.choice(by_file[str(of(path, by_file))]), run)


def of(path: Path, by_file: dict[str, list[list[str]]]) -> str | None:
    return next((name for name in by_file if path.name.endswith(name)), None)


def mutated_yaml(seed: int, runs: list[Path], scratch: Path) -> Case:
    """A run's configuration with characters, lines or values changed."""
    draw = random.Random(seed)
    original = draw.choice(runs)
    text = Path(f"{original}.yaml").read_text()
    pieces = [
        "&a", "*a", "!!timestamp", "!!bool", "!x", "<<:", "? ", "- ", "[", "]", "{", "}", ":", "#", "\t", "'", '"',
        "|", ">", "%", "@", "\0", "\x85", "\ufeff", "~", "null", "9" * 5000, "1e999", ".nan", "true", "--- ", "...",
    ]  # fmt: skip
    for _ in range(draw.choice([1, 1, 2, 5])):
        at = draw.randrange(len(text))
        lines = text.splitlines(keepends=True)
        kind = draw.randrange(5)
        if kind == 0:
            text = text[:at] + draw.choice(pieces) + text[at:]
        elif kind == 1:
            text = text[:at] + text[at + draw.choice([1, 1, 3, 30]) :]
        elif kind == 2:
            text = text[:at] + draw.choice(pieces) + " " + text[at + 1 :]
        elif kind == 3:
            draw.shuffle(lines)
            text = "".join(lines)
        else:
            lines.insert(draw.randrange(len(lines)), draw.choice(lines))
            text = "".join(lines)
        text = text or "x"
    path, out = scratch / "mutated.yaml", scratch / "vocab.txt"
    path.write_text(text, encoding="utf-8")
    out.unlink(missing_ok=True)
    command = ["vocab", str(path), "-o", str(out), "--set", f"run={scratch / 'elsewhere'}"]
    return Case(f"{original.name}.yaml mutated", command, scratch)


# -- running
# -----------------------------------------------------------------------------------------------------------------


def run_command(command: list[str], folder: Path, output: Path, limit: float = HANGS_AFTER) -> tuple[str, str]:
    """Run a command in a fork; what became of it (``status 2``, ``signal 11``, ``hang``), and what it wrote."""
    process = os.fork()
    if process == 0:
        _child(command, folder, output)
    deadline = time.monotonic() + limit
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            break
        if time.monotonic() > deadline:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return "hang", output.read_text(errors="replace")
        time.sleep(0.002)
    found = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"status {os.WEXITSTATUS(status)}"
    return found, output.read_text(errors="replace")


def _child(command: list[str], folder: Path, output: Path) -> None:
    status = 70
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        to = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(to, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(folder)
        sys.argv = ["rnnlm", *command]
        cli.main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def refusals_of_what_is_whole(run: Path, scratch: Path, output: Path) -> list[str]:
    """The commands that do not take an undamaged run; there must be none, or nothing is tested. Some networks cannot
    be exported, and some not be taken apart."""
    copy, found = scratch / run.name, []
    for own in commands(copy, run.parent, UPDATES + 3).values():
        for command in own:
            if command[0] in ("export", "import", "gradients"):
                continue
            fresh_copy(run, scratch)
            became, written = run_command(command, scratch, output)
            if became != "status 0":
                found.append(f"{became} for an undamaged run: {' '.join(command)}: {written[-300:]}")
    return found


def fault(became: str, written: str) -> str | None:
    """Why this must not be; None where all is well: done, or refused in one line."""
    if became == "hang" or became.startswith("signal"):
        return became
    if "Traceback (most recent call last)" in written:
        return "traceback"
    if "error: internal:" in written:
        return "internal error"
    if became not in ("status 0", "status 1", "status 2"):
        return became
    last = (written.splitlines() or [""])[-1]
    return "no message" if became != "status 0" and not last.startswith("error: ") else None


def main() -> int:
    parser = argparse.ArgumentParser(description="Feed damaged files of runs to commands.")
    parser.add_argument("--files", type=int, default=60, help="damaged files")
    parser.add_argument("--yaml", type=int, default=0, help="mutated configurations")
    parser.add_argument("--kinds", type=int, default=3, help="kinds of runs, at most 10")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="this case alone, with what the command wrote")
    asked = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rnnlm-damaged-") as name:
        texts, scratch = Path(name) / "texts", Path(name) / "scratch"
        for folder in (texts, scratch):
            folder.mkdir()
        runs = make_runs(texts, asked.kinds)
        whole = Path(name) / "whole.txt"
        for run in runs:  # compiled before the forks; and what is whole is accepted
            run_command(["export", str(run), "-o", str(run / "torch.safetensors")], scratch, whole)
            for own in commands(run, texts, UPDATES).values():
                for command in own if (run / "torch.safetensors").exists() else []:
                    if command[0] in ("eval", "sample", "gradients"):
                        _here(command)
        faults = [wrong for run in runs for wrong in refusals_of_what_is_whole(run, scratch, whole)]
        makers: list[tuple[Callable[..., Case], int]] = [(make_case, asked.files), (mutated_yaml, asked.yaml)]
        became_of = dict.fromkeys(("accepted", "refused"), 0)
        for maker, count in makers:
            for number in range(count) if asked.only is None or not count else [asked.only]:
                case = maker(asked.seed * 1_000_000 + number, runs, scratch)
                became, written = run_command(case.command, scratch, Path(name) / "output.txt")
                became_of["accepted" if became == "status 0" else "refused"] += 1
                if sum(became_of.values()) % 250 == 0:
                    print(
                        f"{json.dumps(became_of)} after {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True
                    )
                if wrong := fault(became, written):
                    last = (written.splitlines() or [""])[-1]
                    faults.append(f"{number}: {wrong}: {case.what}: {' '.join(case.command)}: {last[:300]}")
                    print(faults[-1], flush=True)
                if asked.only is not None:
                    print(f"{case.what}\n{' '.join(case.command)}\n{became}\n{written}")
    print(json.dumps({"cases": sum(became_of.values()), **became_of, "faults": faults}))
    return int(bool(faults))


def _here(command: list[str]) -> None:
    """Run a command in this process, so that its kernels are there in every fork."""
    sys.argv = ["rnnlm", *command]
    with open(os.devnull, "w") as nothing:
        out, err, sys.stdout, sys.stderr = sys.stdout, sys.stderr, nothing, nothing
        try:
            cli.main()
        except SystemExit:
            pass
        finally:
            sys.stdout, sys.stderr = out, err


if __name__ == "__main__":
    sys.exit(main())
