"""Views of samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from rnnlm.console.controls import visible
from rnnlm.console.formats import counted
from rnnlm.sampling.records import Sample, Samples


def samples_view(found: Samples) -> Iterator[Text | str]:
    """The texts, each with its number where there are several."""
    for i, text in enumerate(found.texts, 1):
        if len(found.texts) > 1:
            yield from heading(f"sample {i}")
        yield text


def written_view(samples: Sequence[Sample], unit: str = "word") -> Iterator[Text | str]:
    """The texts, each below its name, and the log-probabilities of its tokens where it has them."""
    for sample in samples:
        yield from heading(sample.name)
        yield sample.text
        yield from log_probabilities_view(sample, unit)


def heading(name: str) -> Iterator[Text]:
    """The line above a sample; none above the only one."""
    if name:
        yield Text(f"--- {name}", style="dim")


def log_probabilities_view(sample: Sample, unit: str) -> Iterator[Text]:
    """A line a token with its log-probability, and their sum; nothing where they were not asked for."""
    if not sample.log_probabilities:
        return
    yield Text(f"{'log p':>10}  token", style="bold")
    for token, nats in zip(sample.tokens, sample.log_probabilities, strict=True):
        yield Text(f"{nats:10.4f}  {ascii(token) if unit in ('char', 'byte') else visible(token)}")
    yield Text(f"{sample.log_probability:10.4f}  {counted(len(sample.tokens), 'token')} together")
