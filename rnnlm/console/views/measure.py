"""Views of measurements: a run's plan, a bench, a warm-up."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from rnnlm.console.formats import amount, counted, duration, facts, table
from rnnlm.measure.records import Bench, Plan, Warmed
from rnnlm.training.records import Source


def plan_view(plan: Plan) -> Iterator[RenderableType]:
    """``rnnlm train --plan``."""
    rows = [(name, " x ".join(f"{n:,}" for n in shape), f"{size:,}") for name, shape, size in plan.tensors]
    rows.append(("all", "", f"{plan.parameters:,}"))
    if plan.trained < plan.parameters:
        rows.append(("trained", "", f"{plan.trained:,}"))
    yield table([("parameter", "left"), ("shape", "right"), ("numbers", "right")], rows)
    free = f"   ({amount(plan.available_bytes)}B free)" if plan.available_bytes is not None else ""
    run = f"{duration(plan.seconds)} for {plan.total_updates:,} updates, at most {counted(plan.epochs, 'epoch')}"
    if plan.validations:
        run += f", and {counted(plan.validations, 'validation')} of {duration(plan.seconds_per_validation)}"
    yield from facts(
        [
            ("vocabulary", f"{plan.vocabulary:,} tokens"),
            *([] if plan.source is None else [("from the model", _taken(plan.source))]),
            *([] if plan.cutoffs is None else [("cutoffs", ", ".join(f"{one:,}" for one in plan.cutoffs))]),
            ("training text", f"{plan.train_tokens:,} tokens, {plan.unknown / plan.train_tokens:.2%} unknown"),
            ("memory", f"{amount(plan.memory_bytes)}B and about 250 MB for Python{free}"),
            ("disk", f"{amount(plan.disk_bytes)}B"),
            ("speed", f"{plan.tokens_per_second:,.0f} tokens/s, measured here on {counted(plan.threads, 'thread')}"),
            ("an epoch", duration(plan.seconds_per_epoch)),
            ("the run", run),
        ],
        14,
    )


def _taken(source: Source) -> str:
    """What is taken from the model that a run starts from."""
    return f"{source.matched:,} of these tokens; {source.new:,} are new, {source.left_out:,} of its own are left out"


def bench_view(found: Bench) -> Iterator[RenderableType]:
    """``rnnlm bench``."""
    speeds = [
        ("training", found.training_tokens_per_second, f"{found.training_gflops:,.0f} GFLOP/s"),
        ("evaluation", found.evaluation_tokens_per_second, ""),
        ("sampling, one text", found.sampling_tokens_per_second, ""),
        ("sampling, 64 at once", found.sampling_64_tokens_per_second, ""),
    ]
    yield table(
        [("", "left"), ("tokens/s", "right"), ("", "right")],
        [(name, f"{speed:,.0f}", note) for name, speed, note in speeds],
    )
    yield table(
        [("of an update", "left"), ("share", "right"), ("GFLOP/s", "right"), ("of the machine's", "right")],
        [(one.name, f"{one.share:.1%}", *_gflops(one.gflops, found.machine_gflops)) for one in found.layers],
    )
    peak = f"{amount(found.peak_bytes)}B" if found.peak_bytes is not None else "not known here"
    yield from facts(
        [
            (
                "machine",
                f"{found.machine_gflops:,.0f} GFLOP/s in multiply-adds alone, {counted(found.threads, 'thread')}",
            ),
            ("network", f"{found.parameters:,} numbers in {found.precision}, vocabulary {found.vocabulary:,}"),
            ("products", f"by {found.products}: {found.products_why}"),
            ("first update", f"{found.first_update_seconds:.2f} s, with reading or compiling the kernels"),
            ("peak memory", peak),
        ],
        14,
    )


def _gflops(own: float | None, machine: float) -> tuple[str, str]:
    return ("", "") if own is None else (f"{own:,.0f}", f"{own / machine:.0%}")


def warmed_view(found: Warmed) -> Iterator[RenderableType]:
    """``rnnlm warmup``."""
    yield Text(f"kernels for {', '.join(found.precisions)} are in {found.cache} ({found.seconds:.1f} s)")
