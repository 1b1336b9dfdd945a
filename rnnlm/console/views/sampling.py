"""View of samples."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from rnnlm.sampling.records import Samples


def samples_view(found: Samples) -> Iterator[Text | str]:
    """The texts, each with its number where there are several."""
    for i, text in enumerate(found.texts, 1):
        if len(found.texts) > 1:
            yield Text(f"--- sample {i}", style="dim")
        yield text
