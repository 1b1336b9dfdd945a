"""The sections `data` and `vocab`: the texts, and the vocabulary built from them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from rnnlm.config.base import NOT_BOOL, Count, Section, Share, Shorthand, UserPath
from rnnlm.config.encodings import UTF_8, codec
from rnnlm.config.subwords import SubwordModel, SubwordShorthand, Unigram

SPLIT = [0.9, 0.05, 0.05]


class Grammar(Section):
    """A grammar that writes the texts."""

    type: UserPath = Field(description="the name of a built-in grammar (english), or a grammar file")
    sentences: Annotated[list[Count], Field(min_length=3, max_length=3)] = Field(
        [20000, 1000, 1000], description="how many sentences it writes: train, valid, test"
    )


class WeightedText(BaseModel):
    """A text that is read several times. weight: how often, one time after the other."""

    model_config = ConfigDict(frozen=True)

    path: UserPath
    weight: int


def _texts(value: Any, weights: bool) -> Any:
    """A text or a list of texts as they are given; said in one line what is wrong with a list.

    Args:
        weights: whether one may have a weight.
    """
    if not isinstance(value, list):
        return value
    if not value:
        raise ValueError("found an empty list; name at least one text")
    for text in value:
        if isinstance(text, str):
            continue
        if not (weights and isinstance(text, dict)):
            also = ", or {path: PATH, weight: 2}" if weights else ""
            raise ValueError(f"found {text!r} in the list; a text is a path{also}")
        if not isinstance(text.get("path"), str) or text.keys() - {"path", "weight"}:
            keys = ", ".join(map(str, text))
            raise ValueError(f"found a text with the keys {keys}; its keys are path (a file) and weight")
        weight = text.get("weight", 1)
        if isinstance(weight, bool) or not isinstance(weight, int) or not 1 <= weight < 2**31:
            raise ValueError(
                f"found weight: {weight!r} of {text['path']}; how often a text is read is a whole number, 1 or more"
            )
    return [text["path"] if isinstance(text, dict) and text.get("weight", 1) == 1 else text for text in value]


_PATHS = {"type": "array", "items": {"type": "string"}, "minItems": 1}
_WEIGHTED = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "weight": {"type": "integer", "minimum": 1, "default": 1}},
    "required": ["path"],
    "additionalProperties": False,
}
_TRAIN_SCHEMA = {"anyOf": [{"type": "string"}, _PATHS | {"items": {"anyOf": [{"type": "string"}, _WEIGHTED]}}]}
# A file, a folder or a pattern, or a list of these.
TrainingTexts = Annotated[
    UserPath | list[UserPath | WeightedText], BeforeValidator(lambda value: _texts(value, True)),
    WithJsonSchema(_TRAIN_SCHEMA),
]  # fmt: skip
HeldOutTexts = Annotated[
    UserPath | list[UserPath], BeforeValidator(lambda value: _texts(value, False)),
    WithJsonSchema({"anyOf": [{"type": "string"}, _PATHS]}),
]  # fmt: skip


class Data(Section):
    """The texts. Give `train` (with `valid` and `test`), or one `text` with a `split`, or a `grammar`."""

    train: TrainingTexts | None = Field(
        None,
        description="training text, plain or gzip; a folder (its .txt and .txt.gz files), a pattern (texts/*.txt), "
        "or a list of these, read in this order: [a.txt, {path: b.txt.gz, weight: 2}], where weight says how often",
    )
    valid: HeldOutTexts | None = Field(
        None, description="validation text: its perplexity decides what the best model is; several as of train"
    )
    test: HeldOutTexts | None = Field(
        None, description="test text: scored once, when training has ended; several as of train"
    )
    text: UserPath | None = Field(None, description="one text, cut into train, valid and test by `split`")
    split: Annotated[list[Share], Field(min_length=2, max_length=3)] | None = Field(
        None,
        description="shares of `text`, in order, by characters: train, valid and, if there, test; null: 0.9, 0.05, "
        "0.05",
    )
    grammar: Annotated[Grammar, Shorthand()] | None = Field(
        None, description="a grammar that writes the texts: its name, or a section"
    )
    unit: Literal["word", "char", "byte", "subword"] = Field("word", description="what a token is")
    tokenizer: Literal["whitespace", "unicode"] = Field(
        "whitespace",
        description="of words: whitespace, what stands between white space; unicode: with punctuation apart, at the "
        "word boundaries of Unicode (extra unicode)",
    )
    subwords: Annotated[SubwordModel, Field(discriminator="type"), SubwordShorthand()] | None = Field(
        None,
        description="the model that cuts a text into subwords (extra subword), with unit: subword, where null is "
        "unigram: unigram or bpe, trained on the training text, or a file (the bare path will do)",
    )
    encoding: Annotated[str, AfterValidator(codec)] = Field(
        UTF_8, description="of the texts, by Python's name: utf-8, latin-1, cp1252, utf-16, gb18030, shift_jis ..."
    )
    shuffle: bool = Field(
        False,
        description="read the lines of the training text in an order that each epoch draws anew (from train.seed)",
    )
    document: Literal["blank_line"] | None = Field(
        None,
        description="what ends a document, after which the carried hidden state begins anew; null: nothing does",
    )

    @model_validator(mode="before")
    @classmethod
    def text_has_a_split(cls, values: Any) -> Any:
        """The resolved configuration says how the text is cut."""
        if isinstance(values, dict) and values.get("text") is not None and values.get("split") is None:
            return {**values, "split": SPLIT}
        return values

    @model_validator(mode="before")
    @classmethod
    def subwords_have_a_model(cls, values: Any) -> Any:
        """The resolved configuration says what cuts a text into subwords."""
        if isinstance(values, dict) and values.get("unit") == "subword" and values.get("subwords") is None:
            return {**values, "subwords": Unigram().model_dump()}
        return values

    @model_validator(mode="after")
    def one_source(self) -> Self:
        given = [key for key in ("train", "text", "grammar") if getattr(self, key) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none of them"
            raise ValueError(f"give exactly one of train, text and grammar; found {found}")
        if self.train is None and (self.valid or self.test):
            raise ValueError(f"valid and test go with train, not with {given[0]}")
        if self.text is None and self.split is not None:
            raise ValueError(f"split goes with text, not with {given[0]}")
        if self.split is not None and abs(sum(self.split) - 1) > 1e-6:
            raise ValueError(f"the shares of split must add up to 1; found {sum(self.split):g}")
        if self.split is not None and self.split[0] == 0:
            raise ValueError("the first share of split, the training text, must be more than 0")
        return self

    @model_validator(mode="after")
    def words_and_characters(self) -> Self:
        """What goes with words or subwords alone, and what with all but bytes."""
        if self.tokenizer != "whitespace" and self.unit != "word":
            raise ValueError(f"tokenizer: {self.tokenizer} goes with unit: word; found unit: {self.unit}")
        if self.subwords is not None and self.unit != "subword":
            raise ValueError(f"subwords goes with unit: subword; found unit: {self.unit}")
        if self.encoding != UTF_8 and self.unit == "byte":
            raise ValueError("encoding goes with unit: word, char or subword; unit: byte takes a text as it is")
        if self.encoding != UTF_8 and self.grammar is not None:
            raise ValueError("encoding goes with a text of yours; what a grammar writes is in UTF-8")
        return self

    @property
    def encoding_read(self) -> str:
        """The encoding of the training, validation and test text: parts that were cut from one are in UTF-8."""
        return self.encoding if self.train is not None else UTF_8

    def named(self, name: Literal["train", "valid", "test", "text"]) -> list[tuple[str, int]]:
        """The files, folders and patterns of a text, each with its weight; none where there is no such text."""
        texts = getattr(self, name)
        each = texts if isinstance(texts, list) else [texts] if texts else []
        return [(text.path, text.weight) if isinstance(text, WeightedText) else (text, 1) for text in each]

    @property
    def has_validation(self) -> bool:
        """Whether there is a validation text."""
        return self.grammar is not None or bool(self.valid) or (self.split is not None and self.split[1] > 0)


class Vocab(Section):
    """The vocabulary, built from the training text alone."""

    min_count: Count = Field(1, description="rarer tokens become <unk>")
    max_size: Annotated[int, Field(ge=2), NOT_BOOL] | None = Field(
        None, description="keep the most frequent tokens, this many with the special ones; null: all"
    )
    lowercase: bool = Field(False, description="lower-case every text before it is cut into tokens")
    file: UserPath | None = Field(None, description="use this vocabulary file instead of building one")

    @model_validator(mode="after")
    def a_file_is_not_cut(self) -> Self:
        if self.file is not None and self.truncated_by:
            raise ValueError(f"{self.truncated_by} goes with a vocabulary that is built; found file: {self.file}")
        return self

    @property
    def truncated_by(self) -> str | None:
        """The key that leaves tokens out of the vocabulary, if there is one."""
        return "min_count" if self.min_count > 1 else "max_size" if self.max_size is not None else None
