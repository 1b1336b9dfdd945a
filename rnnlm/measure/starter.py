"""A first configuration for a text: unit, size and time chosen from the text and the machine.

unit      words; characters where words are so long or so many that few come again; bytes where it is not UTF-8
hidden    by the tokens: a network much larger than its text learns it by heart
epochs    as many as fit into half an hour, 3 to 20
rare      words that occur once become <unk>, whose probability means something then
time      6 operations a token and weight of the layers (2 forward, 4 back), at 10 GFLOP/s a processor
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from rnnlm.config.encodings import UTF_8
from rnnlm.errors import TextError
from rnnlm.text import files, tokenizers
from rnnlm.work import Progress, Task

_OPERATIONS = 1e10  # a second and processor
_HALF_AN_HOUR = 1800
_SIZES = ((50_000, 64), (300_000, 128), (3_000_000, 256), (30_000_000, 512))
_LARGEST = 1024


@dataclass(frozen=True)
class Starter:
    """A configuration's `yaml`, and why: a sentence each for unit, size and time."""

    yaml: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class _Counts:
    tokens: int
    line_ends: int  # among them
    different: int
    characters: int
    once: int  # different tokens that occur once


def starter(text: Path, encoding: str = UTF_8) -> Task[Starter]:
    """A configuration for a text. Yields Progress. encoding: of the text, a codec's name.

    Raises:
        TextError: unreadable, or too short to learn from.
    """
    files.check_file(text)
    size = files.size(text) or 0
    unit, why, counts = yield from _unit(text, size, encoding)
    if counts.tokens < 100:
        raise TextError(f"{text}: {counts.tokens} tokens; a language model needs some thousands at least")
    hidden = next((h for tokens, h in _SIZES if counts.tokens < tokens), _LARGEST)
    d = min(hidden, 64) if unit != "word" else hidden
    rare = unit == "word" and counts.once > 0
    vocabulary = counts.different - (counts.once if rare else 0)
    multiplied = 4 * hidden * (hidden + d) + hidden * vocabulary
    weights = multiplied + vocabulary * d
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    seconds = 6 * multiplied * 0.9 * counts.tokens / (_OPERATIONS * cores)
    epochs = int(min(20, max(3, _HALF_AN_HOUR / max(seconds, 1e-9))))
    minutes = max(1, round(epochs * seconds / 60))
    name = text.name.removesuffix(".gz").rsplit(".", 1)[0] or "text"
    learnt = f"{counts.tokens:,} tokens: {hidden} units, about {weights / 1e6:.2g} million weights"
    took = f"{epochs} epochs, about {minutes} min on the {cores} processors here; rnnlm train --plan measures it"
    min_count = "  min_count: 2                        # rarer words become <unk>\n" if rare else ""
    read_as = "" if encoding == UTF_8 else f"  encoding: {encoding}\n"
    vocab = f"vocab:\n{min_count}\n" if rare else ""
    yaml = f"""# {why}
# {learnt}
# {took}
data:
  text: {json.dumps(str(text), ensure_ascii=False)}
  split: [0.9, 0.05, 0.05]            # train, validation and test, in the order of the text
  unit: {unit}
{read_as}
{vocab}embedding:
  size: {d}                            # numbers a token

model:
  cell: lstm                          # elman, gru, lstm, mingru, scrn
  hidden: {hidden}
  dropout: 0.2                        # more, where the validation perplexity rises early

train:
  bptt: 35                            # steps back that the gradient reaches
  batch: {16 if counts.tokens < 300_000 else 32}                           # parallel streams
  epochs: {epochs}
  optimizer: adam
  learning_rate: 0.003
  schedule: linear
  state: carry                        # reset: each line is a text of its own

run: {json.dumps("runs/" + name, ensure_ascii=False)}
"""
    return Starter(yaml, (why, learnt, took))


def _unit(text: Path, size: int, encoding: str) -> Task[tuple[str, str, _Counts]]:
    """The unit, why, and what the text counts in it."""
    try:
        words = yield from _count(text, "word", size, encoding)
    except TextError as error:
        if "without white space" not in str(error) and (encoding != UTF_8 or "not UTF-8" not in str(error)):
            raise
        unit = "byte" if "not UTF-8" in str(error) else "char"
        why = (
            "bytes, as the text is not UTF-8 (--encoding NAME says what it is)"
            if unit == "byte"
            else "characters, as nothing parts words"
        )
        return unit, why, (yield from _count(text, unit, size, encoding))
    count = words.tokens - words.line_ends
    long = words.characters / max(1, count)
    again = 1 - words.once / max(1, count)
    if long > 12:
        why = f"characters, as what stands between spaces is long: {long:.0f} characters on average"
    elif count < 20_000 or again < 0.9:
        why = f"characters, as there are few words to learn from: {count:,}, of which {words.once:,} come once"
    else:
        different = words.different - (words.line_ends > 0)
        return "word", f"words: {count:,} of them, {different:,} different ones", words
    return "char", why, (yield from _count(text, "char", size, encoding))


def _count(text: Path, unit: str, size: int, encoding: str) -> Task[_Counts]:
    seen: dict[str, int] = {}
    tokens = characters = 0
    line_end = tokenizers.line_end(unit)
    for piece in tokenizers.pieces(text, unit, False, encoding=encoding):
        for token in piece.tokens:
            seen[token] = seen.get(token, 0) + 1
        tokens += len(piece.tokens)
        characters += piece.characters
        yield Progress("reading the text", piece.done, size, "bytes")
    once = sum(count == 1 and token != line_end for token, count in seen.items())
    return _Counts(tokens, seen.get(line_end, 0), len(seen), characters, once)
