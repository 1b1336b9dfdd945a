"""The section `train`: optimizers, schedules and averages, told apart by their type.

Updates are those of the weights; steps are those of time, a token each.
"""

from __future__ import annotations

import warnings
from typing import Annotated, Any, Literal, Self

from pydantic import Field, create_model, field_validator, model_validator

from rnnlm.config.base import (
    NOT_BOOL,
    Count,
    NotNegative,
    NotNegativeCount,
    Positive,
    Probability,
    Section,
    Share,
    Shorthand,
    Typed,
    UserPath,
)

# -- optimizers
# -----------------------------------------------------------------------------------------------------------------

_DECAY = (
    "share of each weight added to its gradient; not of biases and of layer norms, of untied embeddings only rows of "
    "the window's tokens"
)
_DECAY_BESIDE = (
    "share of each weight taken off the weight itself; not of biases and of layer norms, of untied embeddings only "
    "rows of the window's tokens"
)
_BETA1 = "decay of the gradient's mean"
_BETA2 = "decay of the gradient's mean square"
_EPSILON = "added to the root"


class Sgd(Typed):
    """Stochastic gradient descent."""

    type: Literal["sgd"] = "sgd"
    weight_decay: NotNegative = Field(0.0, description=_DECAY)


class Momentum(Typed):
    """Stochastic gradient descent with momentum (Polyak 1964)."""

    type: Literal["momentum"] = "momentum"
    momentum: Probability = Field(0.9, description="share of the last change that is kept")
    weight_decay: NotNegative = Field(0.0, description=_DECAY)


class Adagrad(Typed):
    """AdaGrad (Duchi et al. 2011)."""

    type: Literal["adagrad"] = "adagrad"
    epsilon: Positive = Field(1e-8, description=_EPSILON)
    weight_decay: NotNegative = Field(0.0, description=_DECAY)


class Rmsprop(Typed):
    """RMSProp (Tieleman & Hinton 2012)."""

    type: Literal["rmsprop"] = "rmsprop"
    beta2: Probability = Field(0.999, description=_BETA2)
    epsilon: Positive = Field(1e-8, description=_EPSILON)
    weight_decay: NotNegative = Field(0.0, description=_DECAY)


class Adam(Typed):
    """Adam (Kingma & Ba 2015)."""

    type: Literal["adam"] = "adam"
    beta1: Probability = Field(0.9, description=_BETA1)
    beta2: Probability = Field(0.999, description=_BETA2)
    epsilon: Positive = Field(1e-8, description=_EPSILON)
    weight_decay: NotNegative = Field(0.0, description=_DECAY)


class Adamw(Typed):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    type: Literal["adamw"] = "adamw"
    beta1: Probability = Field(0.9, description=_BETA1)
    beta2: Probability = Field(0.999, description=_BETA2)
    epsilon: Positive = Field(1e-8, description=_EPSILON)
    weight_decay: NotNegative = Field(0.0, description=_DECAY_BESIDE)


class Nadam(Typed):
    """Adam with Nesterov momentum (Dozat 2016)."""

    type: Literal["nadam"] = "nadam"
    beta1: Probability = Field(0.9, description=_BETA1)
    beta2: Probability = Field(0.999, description=_BETA2)
    epsilon: Positive = Field(1e-8, description=_EPSILON)
    weight_decay: NotNegative = Field(0.0, description=_DECAY)


class Lion(Typed):
    """Lion: the sign of a mean of the gradient (Chen et al. 2023)."""

    type: Literal["lion"] = "lion"
    beta1: Probability = Field(0.9, description="share of the mean, beside the gradient, in what gives the sign")
    beta2: Probability = Field(0.999, description=_BETA1)
    weight_decay: NotNegative = Field(0.0, description=_DECAY_BESIDE)


Optimizer = Annotated[
    Sgd | Momentum | Adagrad | Rmsprop | Adam | Adamw | Nadam | Lion, Field(discriminator="type"), Shorthand()
]

# -- schedules
# -----------------------------------------------------------------------------------------------------------------

_WARMUP = "updates over which the learning rate rises from 0"
_FINAL_RATE = "share of learning_rate that is left at the end"


class Constant(Typed):
    """The same learning rate throughout."""

    type: Literal["constant"] = "constant"
    warmup_updates: NotNegativeCount = Field(0, description=_WARMUP)


class Plateau(Typed):
    """The learning rate is multiplied by `factor` whenever validation stops improving."""

    type: Literal["plateau"] = "plateau"
    factor: Annotated[float, Field(gt=0, lt=1), NOT_BOOL] = Field(
        0.5, description="what the learning rate is multiplied by"
    )
    min_improvement: Probability = Field(
        0.003, description="relative fall in validation perplexity that counts as improving"
    )
    warmup_updates: NotNegativeCount = Field(0, description=_WARMUP)


class Cosine(Typed):
    """The learning rate falls as a cosine does (Loshchilov & Hutter 2017)."""

    type: Literal["cosine"] = "cosine"
    cycles: Count = Field(1, description="how often it falls, each time from learning_rate")
    final_rate: Share = Field(0.0, description=_FINAL_RATE)
    warmup_updates: NotNegativeCount = Field(0, description=_WARMUP)


class Linear(Typed):
    """The learning rate falls linearly."""

    type: Literal["linear"] = "linear"
    final_rate: Share = Field(0.0, description=_FINAL_RATE)
    warmup_updates: NotNegativeCount = Field(0, description=_WARMUP)


class OneCycle(Typed):
    """The learning rate rises over three tenths of all updates, then falls as a cosine does (Smith & Topin 2018)."""

    type: Literal["one_cycle"] = "one_cycle"
    final_rate: Share = Field(0.0, description=_FINAL_RATE)
    warmup_updates: NotNegativeCount = Field(0, description=_WARMUP)


Schedule = Annotated[Constant | Plateau | Cosine | Linear | OneCycle, Field(discriminator="type"), Shorthand()]

# -- averages of the weights
# -----------------------------------------------------------------------------------------------------------------


class Ema(Typed):
    """Exponential moving average of the weights."""

    type: Literal["ema"] = "ema"
    decay: Probability = Field(0.999, description="share of the average that an update keeps")


class Asgd(Typed):
    """Plain mean of the weights from when validation stops improving on (Merity et al. 2018)."""

    type: Literal["asgd"] = "asgd"
    patience: Count = Field(
        5, description="the mean begins at a validation that is worse than the best of all but so many before it"
    )


Average = Annotated[Ema | Asgd, Field(discriminator="type"), Shorthand()]

# -- the whole section
# -----------------------------------------------------------------------------------------------------------------


class Penalties(Section):
    """Terms that are added to the loss."""

    activation: NotNegative = Field(0.0, description="times |h(t)|^2 / D_h of the last layer, added to each J(t)")
    temporal: NotNegative = Field(
        0.0, description="times |h(t) - h(t-1)|^2 / D_h of the last layer, added to each J(t)"
    )
    label_smoothing: Probability = Field(0.0, description="share of each target spread evenly over the vocabulary")

    @property
    def any(self) -> bool:
        """Whether the gradient is of more than the loss."""
        return self.label_smoothing > 0 or self.activation > 0 or self.temporal > 0


class Checkpoint(Section):
    """When the state is saved, beside every epoch's end."""

    every_updates: Count | None = Field(1000, description="updates between checkpoints; null: not by updates")
    every_minutes: Positive | None = Field(None, description="minutes between checkpoints; null: not by the clock")
    keep: NotNegativeCount = Field(
        0, description="models of the latest checkpoints that stay in the run's folder, as model-UPDATES.safetensors"
    )


class Distributed(Section):
    """Training by several ranks that mpiexec has started; one process alone does not read it."""

    gradients: Literal["float32", "bfloat16"] = Field(
        "float32", description="how gradients travel: as they are (float64 too), or rounded to half the bytes"
    )
    every: Count = Field(
        1,
        description="1: each update has the gradient of the whole batch; more: each rank makes so many updates with "
        "its own streams, then all average their weights (local SGD)",
    )

    @model_validator(mode="after")
    def gradients_travel(self) -> Self:
        if self.every > 1 and self.gradients != "float32":
            raise ValueError(f"gradients: {self.gradients} goes with every: 1, where gradients travel")
        return self


class Validate(Section):
    """When the validation text is scored, beside every epoch's end and the end of training."""

    every_updates: Count | None = Field(None, description="updates between validations; null: not by updates")


class Log(Section):
    """When progress is logged, and in which formats."""

    every_updates: Count = Field(50, description="updates between progress records")
    to: list[Literal["jsonl", "csv", "tensorboard"]] = Field(
        ["jsonl"],
        description="formats of the log in the run's folder: jsonl (log.jsonl, always written, since --resume and "
        "rnnlm runs read it), csv (updates.csv, validations.csv), tensorboard (event files, with '.[tensorboard]')",
    )

    @field_validator("to")
    @classmethod
    def jsonl_is_always_there(cls, to: list[str]) -> list[str]:
        """A saved configuration says what was written."""
        return [name for name in ("jsonl", "csv", "tensorboard") if name == "jsonl" or name in to]


class Sample(Section):
    """Texts that the network writes while it is trained; the training itself stays the same."""

    every_updates: Count | None = Field(None, description="updates between samples; null: none before the end")
    tokens: Count = Field(40, description="tokens of a sample; one of words ends at a line end before that")
    prompt: str = Field("", description="what a sample begins with")


# A class body cannot have this name, which is a word of Python's own.
_FROM: dict[str, Any] = {
    "from": (
        UserPath | None,
        Field(None, description="a run or model file to start from, whose weights are matched by token; null: none"),
    )
}
_From = create_model("_From", __base__=Section, **_FROM)

with warnings.catch_warnings():
    # BaseModel has a method `validate`, long deprecated, and pydantic warns of a field with its name.
    warnings.filterwarnings("ignore", message='Field name "validate"')

    class Train(_From):
        """Training by truncated backpropagation through time."""

        bptt: Count = Field(35, description="steps that a gradient goes back")
        bptt_stride: Count | None = Field(None, description="steps between updates, at most bptt; null: bptt")
        bptt_deviation: NotNegative = Field(
            0.0, description="steps by which windows' lengths differ at random (standard deviation); 0: all have bptt"
        )
        batch: Count = Field(20, description="parallel streams")
        accumulate: Count = Field(1, description="windows whose mean gradient makes one update")
        loss: Literal["every", "last"] = Field("every", description="which steps of a window have a loss")
        state: Literal["carry", "reset"] = Field(
            "carry",
            description="the hidden state at line ends: carry goes on with it, as in running text; reset "
            "begins each line anew, as in a list of sentences",
        )
        epochs: Count = Field(15, description="passes over the training text")
        max_updates: Count | None = Field(None, description="stop after this many updates; null: by epochs alone")
        max_minutes: Positive | None = Field(
            None, description="stop after this many minutes, those before a --resume counted; null: by epochs alone"
        )
        seed: Annotated[int, Field(ge=0, lt=2**63), NOT_BOOL] = Field(
            1, description="of the initial weights and of dropout"
        )
        threads: Annotated[int, Field(ge=1, le=1024), NOT_BOOL] | Literal["auto"] = Field(
            "auto", description="auto: all cores allowed"
        )
        precision: Literal["float32", "float64", "bfloat16", "bfloat16x3"] = Field(
            "float32",
            description="of every number of the network; bfloat16: float32, but what is multiplied in training is "
            "rounded to 16 bits, which is faster on processors with AMX, and on AMD's with AVX512-BF16 (float32 on "
            "others); bfloat16x3: the sum of two bfloat16 instead, nearly as exact as float32, for AMX alone",
        )
        optimizer: Optimizer = Field(Sgd(), description="the update rule")
        learning_rate: Positive = Field(1.0, description="the largest that the schedule reaches")
        schedule: Schedule = Field(Constant(), description="the learning rate over time")
        clip_norm: Positive | None = Field(5.0, description="largest norm of the whole gradient; null: none")
        clip_value: Positive | None = Field(
            None, description="largest size of any one number of the gradient; null: none"
        )
        gradient_noise: NotNegative = Field(
            0.0, description="eta: the gradient gets noise of variance eta / (1 + updates)^0.55"
        )
        average: Average | None = Field(
            None, description="mean of the weights over updates, which is validated and saved; null: none"
        )
        freeze: list[str] = Field(
            [],
            description="layers or parameters that are not trained, as rnnlm inspect names them: embedding, cell.0, "
            "output.U ...",
        )
        penalties: Penalties = Field(Penalties(), description="added to the loss in the gradient")
        patience: Count | None = Field(
            3,
            description="stop after this many validations without a new best; null, and no validation text: never",
        )
        checkpoint: Checkpoint = Field(Checkpoint(), description="when the state is saved")
        validate: Validate = Field(  # type: ignore[assignment]
            Validate(), description="when the validation text is scored"
        )
        log: Log = Field(Log(), description="when progress is logged, and in which formats")
        sample: Sample = Field(Sample(), description="texts that the network writes while it is trained")
        distributed: Distributed = Field(
            Distributed(), description="training by several processes (mpiexec); batch is the total over all"
        )

        @model_validator(mode="after")
        def stride_fits(self) -> Self:
            if self.bptt_stride is not None and self.bptt_stride > self.bptt:
                raise ValueError(f"bptt_stride must be at most bptt ({self.bptt}); found {self.bptt_stride}")
            if self.bptt_deviation > 0 and self.stride != self.bptt:
                raise ValueError(
                    f"bptt_deviation goes with windows that do not overlap; found bptt_stride: {self.stride}"
                )
            return self

        @property
        def source(self) -> str | None:
            """`from`: the run or model file that training starts from."""
            path: str | None = getattr(self, "from")
            return path

        @property
        def dtype(self) -> Literal["float32", "float64"]:
            """Of the weights and of everything that is stored."""
            return "float64" if self.precision == "float64" else "float32"

        @property
        def stride(self) -> int:
            """Steps between updates."""
            return self.bptt if self.bptt_stride is None else self.bptt_stride
