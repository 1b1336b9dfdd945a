"""The whole schema of a configuration: one frozen model a section, one field a key.

A field's range is data (``ge``, ``le``, ``Literal``) and its description is its help; the checks, the error messages,
the JSON Schema (``Config.model_json_schema()``) and the reference in ``docs/`` all come from here. Reading YAML is
``rnnlm.config_file``'s job.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

Positive = Annotated[int, Field(ge=1)]
Probability = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def no_number_is_true(cls, value: Any, info: ValidationInfo) -> Any:
        """pydantic would take true for 1: `weight_decay: true` is a mistake."""
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError(f"found {str(value).lower()}; this key takes another kind of value")
        return value


class Data(Section):
    """The texts. Give `train` (with `valid` and `test`), or one `text` with a `split`, or a `grammar`."""

    train: str | None = Field(None, description="training text, plain or gzip")
    valid: str | None = Field(None, description="validation text: its perplexity decides what the best model is")
    test: str | None = Field(None, description="test text: scored once, when training has ended")
    text: str | None = Field(None, description="one text, cut into train, valid and test by `split`")
    split: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=2, max_length=3)] = Field(
        [0.9, 0.05, 0.05], description="shares of `text`, in order, by characters: train, valid and, if there, test"
    )
    grammar: str | None = Field(
        None, description="a grammar file, or the name of a built-in one, that writes the texts"
    )
    sentences: Annotated[list[Positive], Field(min_length=3, max_length=3)] = Field(
        [20000, 1000, 1000], description="how many sentences the grammar writes: train, valid, test"
    )
    unit: Literal["word", "char", "byte"] = Field("word", description="what a token is")

    @model_validator(mode="after")
    def one_source(self) -> Self:
        given = [key for key in ("train", "text", "grammar") if getattr(self, key) is not None]
        if len(given) != 1:
            found = " and ".join(given) if given else "none of them"
            raise ValueError(f"give exactly one of train, text and grammar; found {found}")
        if self.train is None and (self.valid or self.test):
            raise ValueError(f"valid and test go with train, not with {given[0]}")
        if self.text is not None and abs(sum(self.split) - 1) > 1e-6:
            raise ValueError(f"the shares of split must add up to 1; found {sum(self.split):g}")
        if self.text is not None and self.split[0] == 0:
            raise ValueError("the first share of split, the training text, must be more than 0")
        return self


class Vocab(Section):
    """The vocabulary, built from the training text alone."""

    min_count: Positive = Field(1, description="rarer tokens become <unk>")
    max_size: Annotated[int, Field(ge=2)] | None = Field(
        None, description="keep the most frequent tokens, this many with the special ones; null: all"
    )
    lowercase: bool = Field(False, description="lower-case every text before it is cut into tokens")
    file: str | None = Field(None, description="use this vocabulary file instead of building one")


class Embedding(Section):
    """The embedding table, and what it starts as."""

    size: Positive = Field(200, description="d, numbers a token")
    init: Literal["uniform", "normal", "svd", "skipgram", "file"] = Field(
        "uniform", description="how the table starts"
    )
    file: str | None = Field(
        None, description="word vectors (word2vec text or binary, GloVe, fastText .vec; gzip too)"
    )
    trainable: bool = Field(True, description="false: the table stays as it starts")
    scale: Annotated[float, Field(gt=0)] | None = Field(
        0.1, description="standard deviation of the table's numbers at the start; null: as the method gives them"
    )
    window: Positive = Field(5, description="svd, skipgram: words on each side that count as context")
    negative: Positive = Field(5, description="skipgram: noise words for each word of context")
    epochs: Positive = Field(5, description="skipgram: passes over the training text")

    @model_validator(mode="after")
    def file_goes_with_init(self) -> Self:
        if self.init == "file" and self.file is None:
            raise ValueError("init: file needs the key file")
        if self.init != "file" and self.file is not None:
            raise ValueError(f"file goes with init: file; found init: {self.init}")
        return self


class Model(Section):
    """The network."""

    cell: Literal["elman", "gru", "gru_before", "lstm", "mingru", "scrn"] = Field(
        "elman",
        description="the recurrent layer; gru_before: with the reset gate before the product (gru: after it, as in "
        "PyTorch)",
    )
    activation: Literal["sigmoid", "tanh", "relu"] = Field(
        "sigmoid", description="elman: f in h(t) = f(h(t-1) H + e(t) I + b1)"
    )
    hidden: Positive | Annotated[list[Positive], Field(min_length=1, max_length=16)] = Field(
        200, description="D_h, units a layer; a list: of each layer, the first one reads the embedding"
    )
    layers: Annotated[int, Field(ge=1, le=16)] = Field(
        1, description="recurrent layers; where hidden is a list its length counts"
    )
    layer_norm: bool = Field(
        False, description="true: what goes up from a layer is normalised over its units; the recurrence is not"
    )
    init: Literal["uniform", "xavier", "orthogonal", "identity"] | None = Field(
        None, description="how I and H start: uniform in +-init_scale, ...; null: as suits the cell"
    )
    init_scale: Annotated[float, Field(gt=0)] = Field(0.1, description="init: uniform: the largest weight")
    dropout: Probability = Field(0.0, description="share of numbers dropped before, between and after the layers")
    dropout_input: Probability | None = Field(None, description="before the first layer; null: dropout")
    dropout_between: Probability | None = Field(None, description="between layers; null: dropout")
    dropout_output: Probability | None = Field(None, description="after the last layer; null: dropout")
    variational: bool = Field(False, description="true: dropout has one mask for all steps of a window")
    dropout_words: Probability = Field(0.0, description="share of words left out of a whole window")
    dropout_weights: Probability = Field(0.0, description="share of H's numbers left out of a whole window")
    tie: bool = Field(
        False,
        description="true: U is the transposed embedding table, behind a projection where embedding.size is not the "
        "last layer's",
    )
    output: Literal["softmax", "mixture"] = Field(
        "softmax", description="the output layer; mixture: of several softmaxes (Yang et al. 2018)"
    )
    mixture: Positive = Field(5, description="mixture: how many softmaxes")
    peepholes: bool = Field(False, description="lstm: the gates see c too")
    coupled: bool = Field(False, description="lstm: the input gate is 1 - the forget gate")
    forget_bias: Annotated[float, Field(ge=-100, le=100)] = Field(
        1.0, description="lstm: what the forget gates' biases start as"
    )
    context: Positive = Field(40, description="scrn: slow units, the last ones of each layer's hidden")
    context_decay: Probability = Field(0.95, description="scrn: share of a slow unit that each step keeps")

    @model_validator(mode="after")
    def options_fit(self) -> Self:
        if isinstance(self.hidden, list) and self.layers not in (1, len(self.hidden)):
            raise ValueError(f"hidden lists {len(self.hidden)} layers; found layers: {self.layers}")
        if self.cell == "mingru" and self.dropout_weights > 0:
            raise ValueError("dropout_weights drops numbers of H, which a mingru has not")
        for key, part, wanted in (
            ("activation", "cell", "elman"),
            ("peepholes", "cell", "lstm"),
            ("coupled", "cell", "lstm"),
            ("forget_bias", "cell", "lstm"),
            ("context", "cell", "scrn"),
            ("context_decay", "cell", "scrn"),
            ("mixture", "output", "mixture"),
        ):
            value, found = getattr(self, key), getattr(self, part)
            if found != wanted and value != type(self).model_fields[key].default:
                raise ValueError(
                    f"{key} goes with {part}: {wanted}; found {key}: {str(value).lower()}, {part}: {found}"
                )
        if self.cell == "scrn" and self.context >= min(self.sizes):
            raise ValueError(
                f"context must be less than hidden of every layer; found context: {self.context}, "
                f"hidden: {min(self.sizes)}"
            )
        return self

    @property
    def dropout_rates(self) -> tuple[float, ...]:
        """What is dropped of e(t), and of each layer's h(t) on its way up."""
        first, middle, last = (
            self.dropout if rate is None else rate
            for rate in (self.dropout_input, self.dropout_between, self.dropout_output)
        )
        return (first, *[middle] * (len(self.sizes) - 1), last)

    @property
    def drops(self) -> bool:
        """Whether there is any dropout at all."""
        return any(self.dropout_rates) or self.dropout_words > 0 or self.dropout_weights > 0

    @property
    def sizes(self) -> tuple[int, ...]:
        """D_h of each layer."""
        return tuple(self.hidden) if isinstance(self.hidden, list) else (self.hidden,) * self.layers


class Train(Section):
    """Training by truncated backpropagation through time."""

    bptt: Positive = Field(35, description="steps that a gradient goes back")
    bptt_every: Positive | None = Field(None, description="steps between updates, at most bptt; null: bptt")
    bptt_deviation: Annotated[float, Field(ge=0)] = Field(
        0.0, description="steps by which windows' lengths differ at random (standard deviation); 0: all have bptt"
    )
    batch: Positive = Field(20, description="parallel streams")
    accumulate: Positive = Field(1, description="windows whose mean gradient makes one update")
    loss: Literal["every", "last"] = Field("every", description="which steps of a window have a loss")
    state: Literal["carry", "reset"] = Field("carry", description="the hidden state over line ends")
    epochs: Positive = Field(15, description="passes over the training text")
    max_steps: Positive | None = Field(None, description="stop after this many updates; null: by epochs alone")
    optimizer: Literal["sgd", "momentum", "adagrad", "adam", "adamw", "rmsprop", "nadam", "lion"] = Field(
        "sgd", description="the update rule"
    )
    learning_rate: Annotated[float, Field(gt=0)] = Field(1.0, description="at its highest")
    momentum: Probability = Field(0.9, description="momentum: share of the last step that is kept")
    beta1: Probability = Field(0.9, description="adam, adamw, nadam, lion: decay of the gradient's mean")
    beta2: Probability = Field(
        0.999,
        description="adam, adamw, nadam, rmsprop: decay of the gradient's mean square; lion: of its mean",
    )
    epsilon: Annotated[float, Field(gt=0)] = Field(
        1e-8, description="adagrad, adam, adamw, nadam, rmsprop: added to the root"
    )
    schedule: Literal["constant", "halve", "cosine", "linear", "one_cycle"] = Field(
        "constant", description="the learning rate over time; halve: by `decay` whenever validation stops improving"
    )
    cycles: Positive = Field(1, description="cosine: how often the learning rate falls, each time from its highest")
    warmup: Annotated[int, Field(ge=0)] = Field(0, description="steps over which the learning rate rises from 0")
    decay: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5, description="halve: what the learning rate is multiplied by"
    )
    min_improvement: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.003, description="halve: the relative fall in validation perplexity that counts as improving"
    )
    final_rate: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="cosine, linear, one_cycle: the share of learning_rate that is left at the end"
    )
    clip: Annotated[float, Field(gt=0)] | None = Field(
        5.0, description="largest norm of the whole gradient; null: none"
    )
    clip_value: Annotated[float, Field(gt=0)] | None = Field(
        None, description="largest size of any one number of the gradient; null: none"
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(
        0.0,
        description="share of each weight added to its gradient (adamw, lion: taken off the weight); not of biases",
    )
    gradient_noise: Annotated[float, Field(ge=0)] = Field(
        0.0, description="eta: the gradient gets noise of variance eta / (1 + updates)^0.55"
    )
    average: Literal["none", "ema", "asgd"] = Field(
        "none",
        description="mean of the weights, which is validated and saved; ema: with forgetting; asgd: from when "
        "validation stops improving on",
    )
    average_decay: Probability = Field(0.999, description="ema: share of the average that an update keeps")
    average_after: Positive = Field(5, description="asgd: the last validations, which need not be the best")
    label_smoothing: Probability = Field(
        0.0, description="share of each target spread evenly over the vocabulary, in the gradient"
    )
    activation_penalty: Annotated[float, Field(ge=0)] = Field(
        0.0, description="times the mean square of the last layer's h, added to each step's loss in the gradient"
    )
    temporal_penalty: Annotated[float, Field(ge=0)] = Field(
        0.0, description="times the mean square of the change of the last layer's h from step to step, likewise"
    )
    patience: Positive | None = Field(
        3, description="stop after this many validations without a new best; null: never"
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(1, description="of the start and of dropout")
    threads: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = Field(
        "auto", description="auto: all cores allowed"
    )
    precision: Literal["float32", "float64", "bfloat16"] = Field(
        "float32",
        description="of every number of the network; bfloat16: float32, but what is multiplied in training is "
        "rounded to 16 bits, which is faster on processors with AVX512-BF16 (float32 on others)",
    )
    checkpoint_every: Positive | None = Field(
        1000, description="steps between checkpoints (there is one at every epoch's end too); null: only those"
    )
    checkpoint_minutes: Annotated[float, Field(gt=0)] | None = Field(
        None, description="minutes between checkpoints; null: by steps alone"
    )
    log_every: Positive = Field(50, description="steps between progress records")

    @model_validator(mode="after")
    def stride_fits(self) -> Self:
        if self.bptt_every is not None and self.bptt_every > self.bptt:
            raise ValueError(f"bptt_every must be at most bptt ({self.bptt}); found {self.bptt_every}")
        if self.bptt_deviation > 0 and self.stride != self.bptt:
            raise ValueError(f"bptt_deviation goes with windows that do not overlap; found bptt_every: {self.stride}")
        return self

    @property
    def penalises(self) -> bool:
        """Whether the gradient is of more than the loss."""
        return self.label_smoothing > 0 or self.activation_penalty > 0 or self.temporal_penalty > 0

    @property
    def dtype(self) -> Literal["float32", "float64"]:
        """Of the weights and of everything that is stored."""
        return "float64" if self.precision == "float64" else "float32"

    @property
    def stride(self) -> int:
        """Steps between updates."""
        return self.bptt if self.bptt_every is None else self.bptt_every


class Config(Section):
    """One training run."""

    data: Data
    vocab: Vocab = Vocab()
    embedding: Embedding = Embedding()
    model: Model = Model()
    train: Train = Train()
    run: str = Field("runs/rnnlm", description="the run's folder")

    @model_validator(mode="after")
    def sections_fit(self) -> Self:
        if self.model.tie and not self.embedding.trainable:
            raise ValueError("model.tie needs embedding.trainable: true")
        if self.model.output != "softmax" and self.train.label_smoothing > 0:
            raise ValueError(
                f"train.label_smoothing goes with model.output: softmax; found model.output: {self.model.output}"
            )
        return self
