"""How measurements look."""

from __future__ import annotations

from dataclasses import replace

from screen import shown

from rnnlm.console.views.measure import bench_view, plan_view, warmed_view
from rnnlm.measure.records import Bench, Layer, Plan, Warmed
from rnnlm.training.records import Source

PLAN = Plan(
    (("cell.0.H", (16, 16), 256), ("output.b2", (20,), 20)), 276, 256, Source("", 18, 2, 1), 20, 1000, 50,
    12_345_678, None, 4_000_000, 2, 12345.6, 3, 60, 5.5, 3, 2.0, 22.5,
)  # fmt: skip
BENCH = Bench(
    2, "float32", "float32", "train.precision", 200.0, 20, 276, 1.25, 1000.0, 50.0, 2000.0, 300.0, 4000.0,
    (Layer("softmax", 0.75, 100.0), Layer("the rest", 0.25, None)), 3_000_000_000,
)  # fmt: skip


def test_a_plan() -> None:
    text = shown(plan_view(PLAN))
    assert "cell.0.H    16 x 16       256" in text
    assert "18 of these tokens; 2 are new, 1 of its own are left out" in text
    assert "all                       276" in text
    assert "training text  1,000 tokens, 5.00% unknown\n" in text
    assert "memory         12.3 MB and about 250 MB for Python\n" in text, "what is free is not known"
    assert "the run        22 s for 60 updates, at most 3 epochs, and 3 validations of 2.0 s\n" in text


def test_a_plan_with_an_adaptive_softmax() -> None:
    assert "cutoffs        6,064, 18,012\n" in shown(plan_view(replace(PLAN, cutoffs=(6064, 18_012))))
    assert "cutoffs" not in shown(plan_view(PLAN))


def test_a_bench() -> None:
    text = shown(bench_view(BENCH))
    assert "softmax        75.0%       100                50%\n" in text
    assert "the rest       25.0%\n" in text, "no products, no GFLOP/s"
    assert "peak memory    3.0 GB\n" in text


def test_a_warm_up() -> None:
    text = shown(warmed_view(Warmed(("float32", "float64"), 12.34, "/cache")))
    assert text == "kernels for float32, float64 are in /cache (12.3 s)\n"
