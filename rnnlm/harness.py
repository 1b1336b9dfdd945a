"""Models of EleutherAI's evaluation harness (lm-eval), by the name of rnnlm.

    import lm_eval
    import rnnlm.harness

    lm_eval.simple_evaluate(model="rnnlm", model_args="pretrained=runs/my", tasks=["blimp"])

lm-eval finds models of other packages once they are imported, and has no entry points for them. So its command line
is ``python -m rnnlm.harness``, with lm-eval's own arguments.
"""

from __future__ import annotations

import logging
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from rnnlm.console import Console
from rnnlm.errors import InputError, RnnlmError, in_python
from rnnlm.evaluation.many import score_each
from rnnlm.files import model_file
from rnnlm.language_model import LanguageModel
from rnnlm.sampling.sample import Settings


def _fail(error: RnnlmError) -> NoReturn:
    Console().error(error)
    sys.exit(error.exit_status)


try:
    from lm_eval.api.instance import Instance
    from lm_eval.api.model import LM
    from lm_eval.api.registry import register_model
except ImportError:
    _missing = InputError(
        "the package lm-eval is not installed; install it: pip install '.[harness]' in a clone of rnnlm"
    )
    if __name__ == "__main__":
        _fail(_missing)
    raise _missing from None

# Tokens of a generated text where the task does not say how many.
_TOKENS = 256
_TOKENS_NAMES = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_WHOLE, _REAL = ("top_k", *_TOKENS_NAMES), ("temperature", "top_p", "min_p", "repetition_penalty")
_GENERATION = ("until", "do_sample", *_REAL, *_WHOLE)


@register_model("rnnlm")
class HarnessModel(LM):
    """A trained network as lm-eval asks for it. Every text begins as if a line had just ended.

    Args:
        pretrained: a LanguageModel, or a run's folder or model file.
        initial_state: what a text begins with, "model" or "zero". threads: a number, or "auto".
        batch_size, max_batch_size, device: lm-eval gives them; they change nothing.

    Raises:
        ModelError: not there or damaged. InputError: no model, another argument, or one that is not what it must be.
    """

    def __init__(
        self,
        pretrained: LanguageModel | str | Path | None = None,
        initial_state: str = "model",
        threads: int | str = "auto",
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
        **others: object,
    ) -> None:
        super().__init__()
        if others:
            raise InputError(f"model_args: found {next(iter(others))}; must be of pretrained, initial_state, threads")
        if pretrained is None:
            raise InputError("model_args: no pretrained; give pretrained=RUN, a run's folder or a model file")
        if threads != "auto" and (type(threads) is not int or threads < 1):
            raise InputError(f"model_args: threads: found {threads}; must be a number of at least 1, or auto")
        if not isinstance(pretrained, LanguageModel):
            # lm-eval takes a folder's name for a number where it is one.
            pretrained = LanguageModel(model_file.load(str(pretrained)), threads, initial_state)
        self.model = pretrained

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Of each (context, continuation) the continuation's log-probability in nats, and whether every token of it
        is the most probable one.

        The continuation's tokens are those of both together from the first on that the context alone does not have:
        a word model's last word of the context counts where the continuation goes on with it. A word out of the
        vocabulary has the probability of <unk>, and is never the most probable one.
        """
        texts, skipped = [], []
        for request in requests:
            context, continuation = request.args
            together, before = self._tokens(context + continuation), self._tokens(context)
            different = (i for i, (a, b) in enumerate(zip(together, before, strict=False)) if a != b)
            texts.append(together)
            skipped.append(next(different, min(len(together), len(before))))
        return self._cached("loglikelihood", requests, self._scored(texts, skipped))

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Of each (text,) its log-probability in nats, every token counted. The last line of a text of words has a
        line end only where the text has."""
        texts = [self._tokens(request.args[0]) for request in requests]
        found = [nats for nats, _ in self._scored(texts, [0] * len(texts), greedy=False)]
        return self._cached("loglikelihood_rolling", requests, found)

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Of each (context, settings) what the network writes after the context, up to the first of the strings of
        ``until``: greedy unless ``do_sample`` is true, or a temperature above 0 is given without it; at most 256
        tokens unless the task says how many.

        A request that comes several times gets a sample of its own each time.

        Raises:
            InputError: a setting that rnnlm does not have, or one out of its range.
        """
        times: Counter[tuple[str, str]] = Counter()
        groups: dict[Settings, list[int]] = defaultdict(list)
        for i, request in enumerate(requests):
            context, keywords = request.args
            key = (context, repr(keywords))
            groups[settings(keywords, seed=times[key])].append(i)
            times[key] += 1
        texts = [""] * len(requests)
        for chosen, members in groups.items():
            samples = self.model.sample_each([requests[i].args[0] for i in members], chosen)
            for i, sample in zip(members, samples, strict=True):
                texts[i] = "".join(sample.written)
        return self._cached("generate_until", requests, texts)

    def _tokens(self, text: str) -> Sequence[str]:
        return self.model.vocabulary.split(text, "a text of the task")

    def _scored(
        self, texts: list[Sequence[str]], skipped: list[int], greedy: bool = True
    ) -> list[tuple[float, bool]]:
        """Of each text the log-probability of what comes after its `skipped` first tokens, and whether it is the most
        probable; 0 and true where nothing comes. greedy: false where that is not asked for: ranks cost time."""
        model, found, tokens, unknown = self.model, [(0.0, True)] * len(texts), 0, 0
        asked = [i for i, text in enumerate(texts) if len(text) > skipped[i]]
        chosen, before = [texts[i] for i in asked], [skipped[i] for i in asked]
        each = score_each(model.network, chosen, model.vocabulary, model.config.state, greedy, before)
        for i, scored in zip(asked, each, strict=True):
            scored = scored[skipped[i] :]
            tokens, unknown = tokens + len(scored.unknown), unknown + int(scored.unknown.sum())
            most_probable = greedy and bool(((scored.rank == 1) & ~scored.unknown).all())
            found[i] = (float(scored.log_probability.sum()), most_probable)
        if unknown:
            logging.getLogger(__name__).warning(
                "%d of %d scored tokens are not in the vocabulary: each has the probability of <unk>", unknown, tokens
            )
        return found

    def _cached(self, what: str, requests: list[Instance], found: list[Any]) -> list[Any]:
        """`found`, which lm-eval's cache (``use_cache``) gets too."""
        for request, answer in zip(requests, found, strict=True):
            self.cache_hook.add_partial(what, request.args, answer)
        return found


@in_python()
def settings(keywords: dict[str, Any], seed: int) -> Settings:
    """Settings of sampling from a task's ``generation_kwargs``.

    Raises:
        InputError: one that rnnlm does not have, one out of its range, or one that is not what it must be.
    """
    for name in keywords:
        if name not in _GENERATION:
            raise InputError(f"generation_kwargs: found {name}; must be of {', '.join(_GENERATION)}")
    given = {
        name: _number(name, value) if name in (*_WHOLE, *_REAL) else value
        for name, value in keywords.items()
        if value is not None
    }
    until = [given["until"]] if isinstance(given.get("until"), str) else given.get("until", ())
    if not isinstance(until, list | tuple) or not all(isinstance(one, str) for one in until):
        raise InputError(f"generation_kwargs: until: found {until!r}; must be a text or a list of texts")
    if not isinstance(given.get("do_sample", False), bool):
        raise InputError(f"generation_kwargs: do_sample: found {given['do_sample']!r}; must be true or false")
    temperature = given.get("temperature", 1.0 if given.get("do_sample") else 0.0)
    return Settings(
        tokens=next((given[name] for name in _TOKENS_NAMES if name in given), _TOKENS),
        temperature=temperature if given.get("do_sample", True) else 0.0,
        top_k=given["top_k"] if given.get("top_k", 0) > 0 else None,
        top_p=given.get("top_p"),
        min_p=given.get("min_p"),
        repetition_penalty=given.get("repetition_penalty", 1.0),
        seed=seed,
        stop=tuple(filter(None, until)),
    )


def _number(name: str, value: object) -> Any:
    """A number of a task's ``generation_kwargs``, or the one that a text spells: YAML takes 1e-5 for a text."""
    try:
        found = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    whole = name in _WHOLE
    if not math.isfinite(found) or (whole and not found.is_integer()):
        raise InputError(f"generation_kwargs: {name}: found {value!r}; must be a {'whole ' * whole}number")
    return int(found) if whole else found


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    try:
        cli_evaluate()
    except RnnlmError as error:
        _fail(error)
