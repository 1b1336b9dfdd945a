"""The curves of runs as a picture: validation perplexity over time, by matplotlib (extra ``plot``)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnlm.errors import InputError
from rnnlm.files import atomic
from rnnlm.runs.records import Group, Ranking, RunSummary

_AXES = {"epochs": "epochs", "updates": "updates", "seconds": "seconds of training"}
_COLOURS, _STYLES = 10, ("-", "--", ":", "-.")
_NAMED = _COLOURS * len(_STYLES)  # curves that can be told apart
_GREY = "0.8"
_HEIGHT, _LINE = 4.5, 0.18  # inches: of a panel at least, and of a line of its legend
_LONGEST = 60  # characters of a line of the legend


def draw(ranking: Ranking, path: Path, by: str) -> None:
    """Draw one panel a group, one curve a run, a dot at each run's best; .png or .svg, as the name ends.

    In each panel the first `_NAMED` runs of the ranking have a name in the legend, the others are grey.

    Args:
        by: what lies across, "epochs", "updates" or "seconds".

    Raises:
        InputError: matplotlib is not installed; no run has a validation.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(
            "the package matplotlib is not installed; install it: pip install '.[plot]' in a clone of rnnlm"
        ) from None
    groups = [group for group in ranking.groups if any(run.validations for run in group.runs)]
    if not groups:
        raise InputError("--plot: none of these runs has a validation in its log; there is nothing to draw")
    heights = [max(_HEIGHT, 1 + _LINE * min(len(group.runs), _NAMED + 1)) for group in groups]
    figure = Figure(figsize=(10, sum(heights)), layout="constrained")
    panels = figure.subplots(len(groups), squeeze=False, height_ratios=heights)[:, 0]
    for panel, group in zip(panels, groups, strict=True):
        _panel(panel, group, by)
    with warnings.catch_warnings(), atomic.atomic_write(path) as file:
        warnings.simplefilter("ignore")  # a letter that the font does not have
        figure.savefig(file, format="svg" if path.suffix.lower() == ".svg" else "png", dpi=120)


def _panel(axes: Any, group: Group, by: str) -> None:
    from matplotlib.ticker import MaxNLocator

    runs = [run for run in group.runs if run.validations]
    names, lines = labels(group.keys, runs)[:_NAMED], []
    if len(runs) > _NAMED:
        names.append(f"the other {len(runs) - _NAMED}")
    for number, run in enumerate(runs):
        across = [getattr(validation, by) for validation in run.validations]
        perplexities = [validation.perplexity for validation in run.validations]
        colour, style, above = f"C{number % _COLOURS}", _STYLES[number // _COLOURS % len(_STYLES)], 2
        if number >= _NAMED:
            colour, style, above = _GREY, "-", 1
        lines += axes.plot(across, perplexities, color=colour, linestyle=style, linewidth=1.5, zorder=above)
        best = perplexities.index(min(perplexities))
        axes.plot(across[best], perplexities[best], "o", color=colour, markersize=5, zorder=above)
    _logarithmic(axes)
    if by == "epochs" and max(run.validations[-1].epochs for run in runs) > 2:
        axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True))
    axes.set_xlabel(_AXES[by])
    axes.set_ylabel("validation perplexity (dot: the lowest)")
    axes.set_title(_plain(f"{group.valid}, {group.tokens}"), fontsize="medium")
    axes.grid(alpha=0.3)
    # Beside the curves, where it hides none.
    axes.legend(
        lines[: len(names)],
        [_plain(name) for name in names],
        fontsize="small",
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        borderaxespad=0,
    )


def _logarithmic(axes: Any) -> None:
    """A logarithmic scale, on which equal distances are equal differences in bits, with plain numbers beside it."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    few = MaxNLocator(8, steps=[1, 2, 2.5, 5, 10])
    axes.yaxis.set_major_locator(
        few if high < 10 * low else LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,))
    )
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda perplexity, _: f"{perplexity:,g}"))


def labels(keys: Sequence[str], runs: Sequence[RunSummary]) -> list[str]:
    """What tells each run from the others: the settings that differ, by the last part of their names where that is
    enough. Where two runs have the same, the name of the run stands before them; where they are many, instead."""
    last = [key.removesuffix(".type").rsplit(".", 1)[-1] for key in keys]
    short = [name if last.count(name) == 1 else key for key, name in zip(keys, last, strict=True)]
    found = [
        ", ".join(
            f"{name} {_spelled(run.settings[key])}"
            for key, name in zip(keys, short, strict=True)
            if key in run.settings
        )
        for run in runs
    ]
    if max(map(len, found)) > _LONGEST:
        return [run.name for run in runs]
    return [
        label if label and found.count(label) == 1 else f"{run.name}: {label}".removesuffix(": ")
        for run, label in zip(runs, found, strict=True)
    ]


def _plain(text: str) -> str:
    """A text in which matplotlib reads no formula."""
    return text.replace("$", r"\$")


def _spelled(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
