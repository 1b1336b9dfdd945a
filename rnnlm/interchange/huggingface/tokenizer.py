"""A model's tokenizer in the format of the library tokenizers: the same token ids as ours.

    words         runs of what is no white space; a newline becomes the word </s>
    characters    code points
    bytes         no token matches a character, so each falls back to its bytes, which are called <0x00> to <0xFF>

The line end (</s>, the newline) is a special token, which begins and ends a text. Beside the model's tokens there is
one that pads, the last. A character out of the vocabulary is <|unk|>, so that a literal <unk> is five characters.

The library finds special tokens inside of words too: "a</s>b" ends a line there, and is one unknown word here.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from rnnlm.text.tokenizers.tokens import LINE_END, UNKNOWN
from rnnlm.text.vocabulary import Vocabulary

Json = dict[str, Any]

_BYTE = "<0x{:02X}>"
_WHITE_SPACE = "".join(filter(str.isspace, map(chr, range(sys.maxunicode + 1))))


def padding(vocabulary: Vocabulary) -> str:
    """The name of the token that pads, which is none of the vocabulary's."""
    name = "<|pad|>"
    while name in vocabulary:
        name = f"<|{name}|>"
    return name


def line_end(vocabulary: Vocabulary) -> str:
    """The name of the token that ends a line."""
    return {"word": LINE_END, "char": "\n", "byte": _BYTE.format(10)}[vocabulary.unit]


def unknown(vocabulary: Vocabulary) -> str | None:
    """The name of the token that stands for those out of the vocabulary; None for bytes."""
    return {"word": UNKNOWN, "char": "<|unk|>", "byte": None}[vocabulary.unit]


def names(vocabulary: Vocabulary) -> list[str]:
    """The tokens by id, as the library has them."""
    if vocabulary.unit == "byte":
        return [_BYTE.format(ord(token)) for token in vocabulary.tokens]
    return [unknown(vocabulary) or "" if i == vocabulary.unk else token for i, token in enumerate(vocabulary.tokens)]


def tokenizer(vocabulary: Vocabulary) -> Json:
    """``tokenizer.json``."""
    normalizers, pre_tokenizer, decoder = _UNITS[vocabulary.unit](vocabulary.lowercase)
    ids = {name: i for i, name in enumerate(names(vocabulary))}
    model: Json = {"type": "WordLevel", "vocab": ids, "unk_token": unknown(vocabulary)}
    if vocabulary.unit == "byte":
        model = {"type": "BPE", "vocab": ids, "merges": [], "byte_fallback": True}
    # A newline is found after the normalizers, which make one of CR LF.
    end = _special(line_end(vocabulary), vocabulary.line_end) | {"normalized": vocabulary.unit == "char"}
    special = [end, _special(padding(vocabulary), len(vocabulary))]
    if (unk := unknown(vocabulary)) is not None and vocabulary.unk is not None:
        special.append(_special(unk, vocabulary.unk) | {"single_word": True})
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": sorted(special, key=lambda token: token["id"]),
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": decoder,
        "model": model,
    }


def settings(vocabulary: Vocabulary) -> Json:
    """``tokenizer_config.json``."""
    end, unk = line_end(vocabulary), unknown(vocabulary)
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": end,
        "eos_token": end,
        "pad_token": padding(vocabulary),
        **({} if unk is None else {"unk_token": unk}),
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }


def _words(lowercase: bool) -> tuple[list[Json], Json | None, Json | None]:
    lower = []
    if lowercase:  # the library's knows no sigma that ends a word
        sigma = _replace({"Regex": r"(?<=\p{L})Σ(?!\p{L})"}, "ς")
        lower = [sigma, {"type": "Lowercase"}]
    split = {"type": "Split", "pattern": {"Regex": f"[{re.escape(_WHITE_SPACE)}]+"}, "behavior": "Removed"}
    lines = [_replace({"String": "\r\n"}, "\n"), *lower, _replace({"String": "\n"}, f" {LINE_END} ")]
    return lines, {**split, "invert": False}, None


def _characters(lowercase: bool) -> tuple[list[Json], Json | None, Json | None]:
    lower = [{"type": "Lowercase"}] if lowercase else []
    split = {"type": "Split", "pattern": {"Regex": r"[\s\S]"}, "behavior": "Isolated", "invert": False}
    return [_replace({"String": "\r\n"}, "\n"), *lower], split, {"type": "Fuse"}


def _bytes(lowercase: bool) -> tuple[list[Json], Json | None, Json | None]:
    letters = [(chr(upper), chr(upper + 32)) for upper in range(ord("A"), ord("Z") + 1)] if lowercase else []
    lower = [_replace({"String": upper}, letter) for upper, letter in letters]
    return lower, None, {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]}


_UNITS = {"word": _words, "char": _characters, "byte": _bytes}


def _replace(pattern: Json, content: str) -> Json:
    return {"type": "Replace", "pattern": pattern, "content": content}


def _special(name: str, id: int) -> Json:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": id, "content": name, **flags, "special": True}
