"""Small models of subwords: of sentencepiece and of tokenizers, trained on a few sentences."""

from __future__ import annotations

import io
import random
from typing import Any

from rnnlm.text.tokenizers import Subwords

_STEMS = ["dog", "walk", "house", "naïve", "quick", "table", "bird", "garden", "sing", "teacher"]
_ENDINGS = ["", "s", "ed", "ing", "ly", ",", ".", '"']
_SMALL = ["the", "a", "of", "under"]


def sentences(count: int = 300) -> list[str]:
    generator = random.Random(1)

    def word() -> str:
        return generator.choice(_SMALL) + " " + generator.choice(_STEMS) + generator.choice(_ENDINGS)

    return [" ".join(word() for _ in range(generator.randint(1, 5))) for _ in range(count)]


def sentencepiece(**options: Any) -> Subwords:
    import sentencepiece as library

    written = io.BytesIO()
    given = {
        "model_type": "bpe", "vocab_size": 300, "byte_fallback": True, "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False, "minloglevel": 3, **options,
    }  # fmt: skip
    library.SentencePieceTrainer.train(sentence_iterator=iter(sentences()), model_writer=written, **given)
    return Subwords(written.getvalue(), "my.model")


def byte_level(**options: Any) -> Subwords:
    """As that of GPT-2."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    model = Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        **{"special_tokens": ["<|endoftext|>"], **options},
    )  # fmt: skip
    model.train_from_iterator(sentences(), trainer)
    return Subwords(model.to_str().encode(), "tokenizer.json")


def word_piece(unknown: str | None = "[UNK]") -> Subwords:
    """As that of BERT: it knows few characters, and puts what it has in lower case."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    model = Tokenizer(models.WordPiece(unk_token=unknown) if unknown else models.BPE())
    model.normalizer = normalizers.BertNormalizer()
    model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    model.decoder = decoders.WordPiece()
    kind = trainers.WordPieceTrainer if unknown else trainers.BpeTrainer
    special = [unknown, "[CLS]"] if unknown else []
    model.train_from_iterator(sentences(), kind(vocab_size=90, special_tokens=special, show_progress=False))
    return Subwords(model.to_str().encode(), "tokenizer.json")
