"""Control characters made visible: what a terminal would obey is shown to it instead.

A model's words, a prompt or a file's name may hold escape sequences, and overrides of the direction of writing.
Files and pipes get a text as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment

# C0 but tab and newline, DEL, C1; line and paragraph separators; embeddings, overrides and isolates of direction;
# lone surrogates, which file names have for bytes that are no UTF-8.
_CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """`text` with its control characters as ``less`` shows them: ^[ for escape, <U+202E> beyond ASCII.

    Tabs and newlines stay.
    """
    return _CONTROL.sub(_shown, text)


def _shown(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"^{chr(number ^ 0x40)}" if number < 0x80 else f"<U+{number:04X}>"


class Screen(RichConsole):
    """A rich console that shows a terminal the control characters of what is printed, and makes only its own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            if self.is_terminal and not segment.control:
                yield Segment(visible(segment.text), segment.style)
            else:
                yield segment
