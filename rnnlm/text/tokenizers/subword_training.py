"""Training of a subword model by sentencepiece: a unigram model or byte-pair encoding.

Sources: Kudo 2018 (unigram), Sennrich, Haddow & Birch 2016 (BPE), Kudo & Richardson 2018 (sentencepiece).
The text is read as it is (no normalisation, white space kept), and every byte has a piece. The same text gives the
same model, whatever the processor. Each of several files is read once, whatever its weight.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from rnnlm.config.encodings import UTF_8
from rnnlm.errors import ConfigError, TextError
from rnnlm.text import files
from rnnlm.text.joined import TextPath, files_of
from rnnlm.text.tokenizers.subwords import Subwords, missing
from rnnlm.work import Progress, Task

# Bytes of a text that is read whole; of a longer one every second, third ... line.
_WHOLE = 200_000_000
# sentencepiece's sums depend on the number of its threads.
_THREADS = 16
_TOO_LARGE = re.compile(r"Vocabulary size too high .* value <= (\d+)")
_TOO_SMALL = re.compile(r"smaller than required_chars\. \d+ vs (\d+)")


def train(path: TextPath, kind: str, size: int, lowercase: bool, encoding: str = UTF_8) -> Task[Subwords]:
    """Train a model. Yields Progress, returns its tokenizer.

    Args:
        kind: "unigram" or "bpe". size: of the vocabulary, pieces and the line end. encoding: of the text, a codec's
            name.

    Raises:
        InputError: sentencepiece is not installed.
        TextError: the text cannot be read. ConfigError: it has too few different pieces, or too many characters.
    """
    try:
        import sentencepiece
    except ImportError:
        raise missing("sentencepiece") from None
    files.check_file(path)
    total = files.size(path) or 0
    yield Progress(f"training {size:,} subwords", 0, total, "bytes")
    written = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_lines(path, lowercase, encoding, 1 + total // _WHOLE), model_writer=written,
            # Beside the pieces it has an unknown one that the bytes leave nothing to, and a line end.
            model_type=kind, vocab_size=size + 1, byte_fallback=True, unk_id=0, eos_id=1, bos_id=-1, pad_id=-1,
            normalization_rule_name="identity", remove_extra_whitespaces=False, num_threads=_THREADS,
            max_sentence_length=1 << 30, minloglevel=3,
        )  # fmt: skip
    except RuntimeError as error:
        raise _explained(str(error), path, size) from None
    yield Progress(f"training {size:,} subwords", total, total, "bytes")
    return Subwords(written.getvalue(), files.name(path))


def _lines(path: TextPath, lowercase: bool, encoding: str, every: int) -> Iterator[str]:
    """The lines of a text, or the first of so many."""
    number = 0
    for file in files_of(path):
        rest = ""
        for text, _ in files.characters(file, encoding):
            *lines, rest = (rest + text).split("\n")
            yield from (line.lower() if lowercase else line for i, line in enumerate(lines, number) if i % every == 0)
            number += len(lines)
        if rest:
            yield rest.lower() if lowercase else rest


def _explained(message: str, path: TextPath, size: int) -> TextError | ConfigError:
    """sentencepiece's error in our words."""
    if found := _TOO_LARGE.search(message):
        return ConfigError(
            f"data.subwords.size: found {size:,}; {files.name(path)} has pieces for at most {int(found[1]) - 1:,}"
        )
    if found := _TOO_SMALL.search(message):
        return ConfigError(
            f"data.subwords.size: found {size:,}; {files.name(path)} has so many characters that it needs at least "
            f"{int(found[1]) - 1:,}"
        )
    if "sentences_.empty()" in message:
        return TextError(f"{files.name(path)}: nothing but line ends; give a text to train subwords on")
    return TextError(
        f"{files.name(path)}: sentencepiece cannot train subwords on it ({' '.join(message.split())[:200]})"
    )
