"""Subwords: the pieces of a text, the text that comes back from them, and the models that cannot be used."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
import subword_models
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rnnlm.errors import InputError, TextError
from rnnlm.text import corpus, tokenizers, vocabulary
from rnnlm.text.tokenizers import Subwords, subword_training, subwords
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import run_to_end

pytest.importorskip("sentencepiece")
pytest.importorskip("tokenizers")

SETTINGS = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# Not of it: the mark that sentencepiece writes for a space.
TEXT = st.text(
    st.one_of(
        st.sampled_from(list("the dogs</>  \n\t\r\0€中文é😀👩‍🔬\u0301\u2028\ufffd")),
        st.characters(codec="utf-8", exclude_characters="▁"),
    )
)


def pieces_of(model: Subwords, path: Path, lowercase: bool = False) -> list[str]:
    return [token for piece in tokenizers.pieces(path, "subword", lowercase, model) for token in piece.tokens]


@pytest.fixture(scope="module")
def models() -> dict[str, Subwords]:
    """Models that have all bytes."""
    return {
        "bpe": subword_models.sentencepiece(),
        "unigram": subword_models.sentencepiece(model_type="unigram"),
        "byte level": subword_models.byte_level(),
    }


@pytest.mark.parametrize("name", ["bpe", "unigram", "byte level"])
@SETTINGS
@example(" two  spaces, \ta tab ").via("what is kept")
@example("</s> <unk> <s> <|endoftext|> <0x0A>").via("names of special tokens")
@example("👩‍🔬 e\u0301 😀\n\n\n").via("several code points")
@given(text=TEXT)
def test_the_text_comes_back_and_nothing_is_unknown(
    models: dict[str, Subwords], tmp_path: Path, name: str, text: str
) -> None:
    model, text = models[name], text.replace("\r\n", "\n")
    known = set(model.tokens)
    assert "<unk>" not in known
    tokens = model.split(text, False, "here")
    assert set(tokens) <= known
    assert tokens.count("</s>") == text.count("\n")
    assert tokenizers.join(tokens, "subword", model) == text
    path = tmp_path / "text"
    path.write_bytes(text.encode())
    ended = tokenizers.with_line_end(tokens, text, "subword") if text.removeprefix("\ufeff") else []
    if not text.startswith("\ufeff"):  # a file's mark of byte order is left out
        assert pieces_of(model, path) == list(ended)


@pytest.mark.parametrize("name", ["bpe", "unigram", "byte level"])
@SETTINGS
@given(before=TEXT, text=TEXT)
def test_the_text_grows_by_characters_behind_a_prompt(
    models: dict[str, Subwords], name: str, before: str, text: str
) -> None:
    model, before = models[name], before.replace("\r", "")
    whole = before + text.replace("\r", "")
    tokens, prompt = model.split(whole, False, "here"), model.split(before, False, "here")
    if tokens[: len(prompt)] == prompt:
        joiner = model.joiner(before)
        assert "".join(map(joiner.add, tokens[len(prompt) :])) + joiner.rest() == whole[len(before) :]


def test_half_a_character_is_held_back(models: dict[str, Subwords]) -> None:
    joiner = models["bpe"].joiner("")
    assert [joiner.add(f"<0x{byte:02X}>") for byte in "€".encode()] == ["", "", "€"]
    assert joiner.add("<0xE2>") == ""
    assert joiner.add("</s>") == "\ufffd\n"
    assert (joiner.add("<0xC3>"), joiner.rest()) == ("", "\ufffd")


@pytest.mark.parametrize("name", ["bpe", "unigram", "byte level"])
@SETTINGS
@given(text=TEXT)
def test_where_pieces_begin(models: dict[str, Subwords], name: str, text: str) -> None:
    model, line = models[name], text.replace("\n", "")
    begins = model.begins(line, False)
    assert len(begins) == len(model.split(line, False, "here"))
    assert begins == sorted(begins)
    # A piece begins where the detokenizer has come to, unless a character is not complete there.
    joiner, shown, added = model.joiner(""), 0, "-"
    for token, begin in zip(model.split(line, False, "here"), begins, strict=True):
        assert begin == shown or added == "" or line[shown:begin].isspace()
        added = joiner.add(token)
        shown += len(added)


def test_lower_case(models: dict[str, Subwords], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("The DOGS ΣΑΣ\nİ")
    for model in models.values():
        wanted = model.split("the dogs σας\ni̇", False, "here")
        assert model.split("The DOGS ΣΑΣ\nİ", True, "here") == wanted
        assert pieces_of(model, tmp_path / "text", True) == [*wanted, "</s>"]


def test_blocks_do_not_matter(models: dict[str, Subwords], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(subword_models.sentences(40)) + "\n\nlast €"
    (tmp_path / "text").write_text(text)
    whole = pieces_of(models["bpe"], tmp_path / "text")
    monkeypatch.setattr("rnnlm.text.files._BLOCK", 7)
    assert pieces_of(models["bpe"], tmp_path / "text") == whole
    each = list(tokenizers.pieces(tmp_path / "text", "subword", False, models["bpe"]))
    assert sum(piece.characters for piece in each) == len(text)
    assert sum(piece.words for piece in each) == len(text.split())
    monkeypatch.setattr("rnnlm.text.tokenizers.words.LONGEST", 10)
    with pytest.raises(TextError, match=r"text: a line of more than 10 characters"):
        pieces_of(models["bpe"], tmp_path / "text")


def test_no_unicode(models: dict[str, Subwords]) -> None:
    with pytest.raises(TextError, match=r"here:3: no Unicode at character 2; give Unicode text"):
        models["bpe"].split("a\ud800", False, "here", 3)


# What a model does not know.


def test_what_is_unknown_is_there_as_the_text_has_it() -> None:
    model = subword_models.sentencepiece(byte_fallback=False, vocab_size=60)
    assert "<unk>" in model.tokens
    tokens = model.split("the ☃☃ dogs", False, "here")
    assert [token for token in tokens if token not in model.tokens] == ["☃☃"]
    assert tokenizers.join(tokens, "subword", model) == "the ☃☃ dogs"
    # The characters of </s> are all unknown: it ends no line.
    assert model.split("</>", False, "here")[-1] == "</>"
    none_known = [token for token in model.split("the </>", False, "here") if token not in model.tokens]
    assert none_known == ["</>"]


def test_a_model_of_words_in_pieces() -> None:
    model = subword_models.word_piece()
    tokens = model.split("The dogs ☃☃ ran", False, "here")
    assert tokens[0] == "the"
    assert "☃☃" in tokens
    assert "[UNK]" not in model.tokens
    assert "[CLS]" not in model.tokens
    built = vocabulary.select(vocabulary.Counter(tokens), "subword", False, 1, None, model)
    assert built.counts[built.unk] == sum(token not in model.tokens for token in tokens) > 0
    encoded = corpus.from_tokens(tokens, 0, built, "here")
    assert list(encoded.tokens()) == tokens
    assert encoded.counts.unknown == built.counts[built.unk]


# The vocabulary.


@pytest.mark.parametrize("name", ["bpe", "unigram", "byte level"])
def test_the_vocabulary_has_all_pieces_with_their_counts(
    models: dict[str, Subwords], tmp_path: Path, name: str
) -> None:
    model = models[name]
    (tmp_path / "text").write_text("\n".join(subword_models.sentences(50)))
    built = run_to_end(vocabulary.build(tmp_path / "text", "subword", False, 1, None, model))
    tokens = pieces_of(model, tmp_path / "text")
    assert (built.unk, set(built.tokens)) == (None, set(model.tokens))
    assert dict(zip(built.tokens, built.counts.tolist(), strict=True)) == {t: tokens.count(t) for t in model.tokens}
    built.save(tmp_path / "vocab.txt")
    again = vocabulary.load(tmp_path / "vocab.txt", "subword", False, model)
    assert (again.tokens, again.hash()) == (built.tokens, built.hash())
    assert (
        built.hash()
        != Vocabulary(
            built.tokens, built.counts, "subword", False, subword_models.sentencepiece(vocab_size=290)
        ).hash()
    )
    spelled = [built.spell(i) for i in range(len(built))]
    assert all(token.split() == [token] for token in spelled)


def test_a_vocabulary_file_of_another_model(models: dict[str, Subwords], tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("</s>\t3\n▁the\t2\n▁zebra\t1\n")
    with pytest.raises(TextError, match=r"vocab.txt:3: '▁zebra' is no piece of my.model; was this built with"):
        vocabulary.load(path, "subword", False, models["bpe"])
    path.write_text("▁the\t2\n</s>\t3\n")
    found = vocabulary.load(path, "subword", False, models["bpe"])
    assert found.tokens[:2] == ("▁the", "</s>")
    assert set(found.tokens) == set(models["bpe"].tokens)


def test_a_piece_without_its_marks(models: dict[str, Subwords]) -> None:
    assert [models["bpe"].bare(piece) for piece in ("▁the", "s", "<0xC3>", "<0x41>", "▁", "</s>")] == [
        "the", "s", "<0xC3>", "A", "▁", "</s>"
    ]  # fmt: skip
    assert models["byte level"].bare("Ġthe") == "the"


# Models.


def test_models_are_the_same_by_their_bytes(models: dict[str, Subwords]) -> None:
    model = models["bpe"]
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), Subwords(model.data, "elsewhere")):
        assert again == model
        assert hash(again) == hash(model)
        assert again.split("the dogs", False, "here") == model.split("the dogs", False, "here")
    assert model != models["unigram"]
    assert [m.made_by for m in models.values()] == ["sentencepiece", "sentencepiece", "tokenizers"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"the dog\n", "neither a model of sentencepiece \\(.model\\) nor one of tokenizers \\(tokenizer.json\\)"),
        (b"", "neither a model of sentencepiece"),
        (b"{}", "no tokenizer.json that tokenizers [0-9.]+ reads \\(Model missing"),
        (b'{"a": ', "no tokenizer.json that tokenizers [0-9.]+ reads"),
        (b"{\xff", "no tokenizer.json that tokenizers [0-9.]+ reads"),
    ],
)
def test_no_model(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "my.model").write_bytes(data)
    with pytest.raises(InputError, match=rf"my.model: {message}"):
        subwords.load(tmp_path / "my.model")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.model: No such file or directory; give a model of sentencepiece"):
        subwords.load(tmp_path / "none.model")


def test_models_that_cannot_be_used() -> None:
    with pytest.raises(
        InputError, match=r"my.model: its piece </s> stands for a part of the text, and here </s> ends"
    ):
        _ = subword_models.sentencepiece(eos_id=-1, user_defined_symbols=["</s>"]).tokens
    with pytest.raises(InputError, match=r"my.model: its piece <unk> stands for a part of the text"):
        _ = subword_models.sentencepiece(unk_piece="[UNK]", user_defined_symbols=["<unk>"]).tokens
    with pytest.raises(InputError, match=r"tokenizer.json: has neither all bytes nor a token for what is unknown"):
        _ = subword_models.word_piece(None).tokens


def test_special_tokens_are_no_part_of_the_text() -> None:
    model = subword_models.byte_level(special_tokens=["<unk>", "</s>", "<pad>"])
    assert {"<unk>", "<pad>"}.isdisjoint(model.tokens)
    assert model.tokens.count("</s>") == 1
    tokens = model.split("the </s> <pad>", False, "here")
    assert "</s>" not in tokens
    assert tokenizers.join(tokens, "subword", model) == "the </s> <pad>"


@pytest.mark.parametrize("package", ["sentencepiece", "tokenizers"])
def test_without_the_library(
    models: dict[str, Subwords], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    model = models["bpe" if package == "sentencepiece" else "byte level"]
    with pytest.raises(InputError, match=rf"the package {package}, which .* install it: pip install '.\[subword\]'"):
        _ = Subwords(model.data, "my").tokens
    if package == "sentencepiece":
        with pytest.raises(InputError, match=r"the package sentencepiece, which"):
            run_to_end(subword_training.train(tmp_path / "text", "bpe", 300, False))


# Training.


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_training(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "text"
    path.write_text("\n".join([*subword_models.sentences(), "</s> <unk>"] * 3))
    model = run_to_end(subword_training.train(path, kind, 305, False))
    assert len(model.tokens) == 305
    assert run_to_end(subword_training.train(path, kind, 305, False)).data == model.data
    text = "The dogs\t walked  😀 </s> <unk>"
    assert tokenizers.join(model.split(text, False, "here"), "subword", model) == text


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_size_that_does_not_fit(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "text"
    path.write_text("\n".join(subword_models.sentences()))
    with pytest.raises(
        InputError, match=r"data.subwords.size: found 9,000; .*text has pieces for at most (\d+)"
    ) as at:
        run_to_end(subword_training.train(path, kind, 9000, False))
    most = int(str(at.value).split()[-1])
    assert len(run_to_end(subword_training.train(path, kind, most, False)).tokens) == most
    path.write_text("".join(map(chr, range(0x4E00, 0x4F00))))
    with pytest.raises(InputError, match=r"found 300; .*text has so many characters that it needs at least 514"):
        run_to_end(subword_training.train(path, kind, 300, False))
    path.write_text("\n\n\n")
    with pytest.raises(TextError, match=r"text: nothing but line ends; give a text to train subwords on"):
        run_to_end(subword_training.train(path, kind, 300, False))
