"""How the cost of training grows with the vocabulary, the hidden size, the batch, the window and the text:

    python -m benchmarks.scaling -o benchmarks/scaling.svg

From one network in the middle (|V| = 5,000, D_h = 200, 20 streams of 35 steps) one size is changed at a time. The
text is random words with the frequencies of a natural one."""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.cases import Case
from benchmarks.worker import rnnlm_trainer

MIDDLE = Case("middle", "words", 5_000, 200, 20, 35)
AXES: dict[str, tuple[str, list[int]]] = {
    "vocabulary": ("|V|", [100, 500, 1_000, 3_000, 10_000, 30_000]),
    "hidden": ("D_h (and d)", [50, 100, 200, 400, 800]),
    "batch": ("streams", [1, 2, 5, 10, 20, 40, 80]),
    "steps": ("steps a window", [5, 10, 20, 35, 70, 140]),
}
LENGTHS = [100_000, 300_000, 1_000_000, 3_000_000]


def microseconds_a_token(case: Case, precision: str, seconds: float) -> float:
    """The median of five parts of the time."""
    update = rnnlm_trainer(case, precision, 2)
    for number in range(3):
        update(number)
    rates = []
    for _ in range(5):
        began, number = time.perf_counter(), 0
        while time.perf_counter() - began < seconds / 5 or number == 0:
            update(number)
            number += 1
        rates.append((time.perf_counter() - began) / (number * case.steps * case.batch))
    return 1e6 * float(np.median(rates))


def seconds_to_read(tokens: int) -> float:
    """Counting the vocabulary and encoding a text of so many words."""
    from rnnlm.config.schema import Config
    from rnnlm.corpora import prepare

    def result(work: object) -> object:
        while True:
            try:
                next(work)  # type: ignore[call-overload]
            except StopIteration as stop:
                return stop.value

    ids = np.random.default_rng(1).zipf(1.3, tokens) % 50_000
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        lines = (" ".join(f"w{id}" for id in ids[i : i + 20]) for i in range(0, tokens, 20))
        text.write_text("\n".join(lines) + "\n", encoding="utf-8")
        config = Config.model_validate({"data": {"train": str(text)}, "run": str(Path(folder) / "run")})
        began = time.perf_counter()
        paths = result(prepare.texts(config))
        words = result(prepare.build_vocabulary(config, paths.train))  # type: ignore[attr-defined]
        result(prepare.encode(config, paths, words))  # type: ignore[arg-type]
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("-o", "--output", type=Path, help="a picture of it (needs matplotlib)")
    arguments = parser.parse_args()
    curves: dict[str, tuple[str, str, list[int], dict[str, list[float]]]] = {}
    for name, (label, values) in AXES.items():
        own = {}
        for precision in ("float32", "bfloat16"):
            cases = [dataclasses.replace(MIDDLE, **{name: value}) for value in values]
            own[precision] = [microseconds_a_token(case, precision, arguments.seconds) for case in cases]
        curves[name] = (label, "microseconds a token", values, own)
        print(f"{label}: {', '.join(f'{v:,}' for v in values)}")
        for precision, found in own.items():
            print(f"  {precision:<9} {', '.join(f'{f:.1f}' for f in found)} microseconds a token", flush=True)
    reading = [seconds_to_read(tokens) for tokens in LENGTHS]
    curves["length"] = ("words of the text", "seconds to count and encode it", LENGTHS, {"reading": reading})
    print(
        f"words: {', '.join(f'{v:,}' for v in LENGTHS)}\n  {', '.join(f'{f:.2f}' for f in reading)} seconds to read"
    )
    if arguments.output:
        picture(curves, arguments.output)


def picture(curves: dict[str, tuple[str, str, list[int], dict[str, list[float]]]], target: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    figure, axes = pyplot.subplots(2, 3, figsize=(11, 6.6), layout="constrained")
    for axis in axes.flat[len(curves) :]:
        axis.remove()
    for axis, (label, unit, values, own) in zip(axes.flat, curves.values(), strict=False):
        for name, found in own.items():
            axis.plot(values, found, marker="o", markersize=4, label=name)
        axis.set(xscale="log", yscale="log", xlabel=label, ylabel=unit)
        # Round numbers and what was measured, not powers of ten.
        axis.set_xticks(values, [f"{value:,}" for value in values], fontsize=8)
        axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
        for part in (axis.xaxis, axis.yaxis):
            part.set_minor_locator(ticker.NullLocator())
        axis.grid(alpha=0.3)
        if len(own) > 1:
            axis.legend(frameon=False)
    figure.savefig(target)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
