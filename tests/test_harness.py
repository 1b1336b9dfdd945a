"""Models of the evaluation harness: a task of local files, and every answer against the model's own scores."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rnnlm
from rnnlm.errors import InputError
from rnnlm.text import tokenizers

pytestmark = pytest.mark.filterwarnings("ignore")  # those of lm-eval and of what it imports


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    pytest.importorskip("lm_eval")
    return importlib.import_module("rnnlm.harness")


class Request:
    """What the harness hands over."""

    def __init__(self, *args: Any) -> None:
        self.args = args


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "lm_eval" or name == "rnnlm.harness"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(InputError, match=r"^the package lm-eval is not installed; install it: pip install '\.\["):
        importlib.import_module("rnnlm.harness")


def test_the_command_line_without_the_package() -> None:
    code = "import sys, runpy; sys.modules['lm_eval'] = None; runpy.run_module('rnnlm.harness', run_name='__main__')"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("error: the package lm-eval is not installed; ")
    assert found.stderr.count("\n") == 1


PAIRS = [
    ("the dog", " sees the cat"),
    ("the dog ", "sees"),
    ("", "a bird sings"),
    ("the dog\n", "a bird sings\n"),
    ("the dog", " zebra"),
    ("the do", "g sees"),
    ("the cat", ""),
    ("a", "\n"),
]


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
@pytest.mark.parametrize("state", ["carry", "reset"])
def test_log_likelihoods(harness: Any, runs: dict[str, Path], unit: str, state: str) -> None:
    """The difference of two texts' scores: of context and continuation together, and of what they have in common."""
    model = rnnlm.load(runs[unit])
    train = model.config.train.model_copy(update={"state": state})
    model.config = model.config.model_copy(update={"train": train})
    found = harness.HarnessModel(model).loglikelihood([Request(*pair) for pair in PAIRS])
    for (context, continuation), (log_probability, greedy) in zip(PAIRS, found, strict=True):
        together = tokenizers.split(context + continuation, unit, lowercase=False)
        if not together:
            continue
        scores = model.surprisal(context + continuation, line_end=False)
        before = tokenizers.split(context, unit, lowercase=False)
        if (unit, context) == ("word", "the do"):
            before = before[:1]  # the word is another one with the continuation
        asked = scores[len(before) :]
        assert log_probability == pytest.approx(sum(score.log_probability for score in asked), rel=1e-5, abs=1e-9)
        assert greedy == all(score.rank == 1 and not score.is_unk for score in asked)
        if context and "\n" not in context + continuation and (unit, context) != ("word", "the do"):
            whole, part = model.score([context + continuation, context], line_end=False)
            assert log_probability == pytest.approx(whole.log_probability - part.log_probability, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_what_greedy_decoding_writes_is_greedy(harness: Any, runs: dict[str, Path], unit: str) -> None:
    model = rnnlm.load(runs[unit])
    wrapped = harness.HarnessModel(model)
    text = model.sample("the dog", tokens=8, temperature=0)[len("the dog") :]
    (written,) = wrapped.generate_until([Request("the dog", {"max_gen_toks": 8})])
    assert written == text
    other = " zebra" if unit == "word" else "zq"
    found = wrapped.loglikelihood([Request("the dog", text), Request("the dog", text + other)])
    assert [greedy for _, greedy in found] == [True, False]


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_rolling_log_likelihoods(harness: Any, runs: dict[str, Path], unit: str) -> None:
    model = rnnlm.load(runs[unit])
    texts = ["the dog sees", "a zebra\nthe cat\n", "", "every dog " * 300]
    found = harness.HarnessModel(model).loglikelihood_rolling([Request(text) for text in texts])
    for text, log_probability in zip(texts, found, strict=True):
        wanted = sum(score.log_probability for score in model.surprisal(text, line_end=False)) if text else 0.0
        assert log_probability == pytest.approx(wanted, rel=1e-5)


def test_generation(harness: Any, runs: dict[str, Path]) -> None:
    model = rnnlm.load(runs["word"])
    wrapped = harness.HarnessModel(model)
    sampled = {"do_sample": True, "temperature": 0.9, "top_k": 5, "until": ["\n"], "max_gen_toks": 12}
    requests = [("the dog", sampled), ("a bird", {"until": "\n"}), ("the dog", sampled), ("the cat ", sampled)]
    found = wrapped.generate_until([Request(*request) for request in requests])
    more = {"tokens": 12, "temperature": 0.9, "top_k": 5, "stop": "\n"}
    assert (
        found
        == [
            model.sample("the dog", seed=0, **more)[7:],
            model.sample("a bird", 256, temperature=0, stop="\n")[6:],
            model.sample("the dog", seed=1, **more)[7:],  # the second time another sample
            model.sample("the cat ", seed=0, **more)[8:],
        ]
    )


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"num_beams": 4}, "generation_kwargs: found num_beams; must be of until, do_sample,"),
        ({"max_gen_toks": 0}, "tokens: found 0; must be at least 1"),
        ({"do_sample": True, "top_p": 2.0}, "top_p: found 2.0; must be more than 0 and at most 1"),
        ({"top_k": "abc"}, "generation_kwargs: top_k: found 'abc'; must be a whole number"),
        ({"top_k": 1.5}, "generation_kwargs: top_k: found 1.5; must be a whole number"),
        ({"max_gen_toks": "many"}, "generation_kwargs: max_gen_toks: found 'many'; must be a whole number"),
        ({"max_gen_toks": 10**400}, "generation_kwargs: max_gen_toks: found 1000"),
        ({"temperature": "hot"}, "generation_kwargs: temperature: found 'hot'; must be a number"),
        ({"temperature": float("nan")}, "generation_kwargs: temperature: found nan; must be a number"),
        ({"temperature": -1}, "temperature: found -1.0; must be a finite number of 0 or more"),
        ({"min_p": True}, "generation_kwargs: min_p: found True; must be a number"),
        ({"repetition_penalty": []}, "generation_kwargs: repetition_penalty: found []; must be a number"),
        ({"do_sample": "abc"}, "generation_kwargs: do_sample: found 'abc'; must be true or false"),
        ({"until": 5}, "generation_kwargs: until: found 5; must be a text or a list of texts"),
        ({"until": ["a", 5]}, "generation_kwargs: until: found ['a', 5]; must be a text or a list of texts"),
    ],
)
def test_settings_that_it_does_not_have(harness: Any, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as found:
        harness.settings(keywords, seed=0)
    assert str(found.value).startswith(message)


@pytest.mark.parametrize(
    ("keywords", "wanted"),
    [
        ({}, (256, 0.0, None, ())),
        ({"temperature": 0.5}, (256, 0.5, None, ())),
        ({"temperature": "1e-5", "top_k": 3.0}, (256, 1e-5, 3, ())),
        ({"do_sample": False, "temperature": 0.5, "top_k": 0}, (256, 0.0, None, ())),
        ({"do_sample": True, "max_new_tokens": 3, "top_k": 4, "until": ["a", "", "b"]}, (3, 1.0, 4, ("a", "b"))),
    ],
)
def test_settings(harness: Any, keywords: dict[str, Any], wanted: tuple[Any, ...]) -> None:
    found = harness.settings(keywords, seed=3)
    assert (found.tokens, found.temperature, found.top_k, found.stop) == wanted
    assert found.seed == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "model_args: no pretrained; give pretrained=RUN, a run's folder or a model file"),
        ("threads=2", "model_args: no pretrained; "),
        ("pretrained=RUN,state=reset", "model_args: found state; must be of pretrained, initial_state, threads"),
        ("pretrained=RUN,threads=abc", "model_args: threads: found abc; must be a number of at least 1, or auto"),
        ("pretrained=RUN,threads=1.5", "model_args: threads: found 1.5; must be a number"),
        ("pretrained=RUN,threads=0", "model_args: threads: found 0; must be a number"),
        ("pretrained=RUN,threads=true", "model_args: threads: found True; must be a number"),
        ("pretrained=RUN,initial_state=one", "initial_state: found one; must be model or zero"),
        ("pretrained=5", "5: no such file"),
    ],
)
def test_arguments_that_are_wrong(harness: Any, runs: dict[str, Path], arguments: str, message: str) -> None:
    with pytest.raises(InputError) as found:
        harness.HarnessModel.create_from_arg_string(
            arguments.replace("RUN", str(runs["word"])), {"batch_size": 1, "device": "cpu"}
        )
    assert str(found.value).startswith(message)


def test_the_command_line_says_what_is_wrong(harness: Any, runs: dict[str, Path], tmp_path: Path) -> None:
    task = TASK.replace("FILE", str(tmp_path / "none.jsonl"))
    (tmp_path / "task.yaml").write_text(task)
    command = [
        sys.executable, "-m", "rnnlm.harness", "--model", "rnnlm", "--tasks", "my_agreement",
        "--include_path", str(tmp_path), "--model_args", f"pretrained={runs['word']},threads=abc",
    ]  # fmt: skip
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 2
    assert "Traceback" not in found.stderr
    assert found.stderr.splitlines()[-1].startswith("error: model_args: threads: found abc; ")


def test_rolling_needs_no_ranks(harness: Any, runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    score_each = harness.score_each
    monkeypatch.setattr(harness, "score_each", lambda *given: (asked.append(given[4]), score_each(*given))[1])
    wrapped = harness.HarnessModel(runs["word"])
    wrapped.loglikelihood_rolling([Request("the dog")])
    wrapped.loglikelihood([Request("the dog", " sees")])
    assert asked == [False, True]


TASK = """\
task: my_agreement
dataset_path: json
dataset_kwargs:
  data_files: {test: FILE}
test_split: test
output_type: multiple_choice
doc_to_text: "{{context}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
target_delimiter: " "
metric_list:
  - metric: acc
"""


def test_a_task_of_local_files(
    harness: Any, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through simple_evaluate, by the registered name; the accuracy is that of the model's own scores."""
    import datasets
    import lm_eval
    from lm_eval.tasks import TaskManager

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    rows = [
        {"context": "the cats", "choices": ["sleep", "sleeps"], "answer": 0},
        {"context": "the dog sees the", "choices": ["sings", "cat"], "answer": 1},
        {"context": "a bird", "choices": ["the", "sings"], "answer": 0},
    ]
    data = tmp_path / "agreement.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "task.yaml").write_text(TASK.replace("FILE", str(data)))
    found = lm_eval.simple_evaluate(
        model="rnnlm", model_args=f"pretrained={runs['word']}", tasks=["my_agreement"], bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(tmp_path), include_defaults=False),
    )  # fmt: skip
    assert found is not None
    model = rnnlm.load(runs["word"])
    right = 0
    for row, sample in zip(rows, found["samples"]["my_agreement"], strict=True):
        scores = [
            sum(score.log_probability for score in model.surprisal(f"{row['context']} {choice}", line_end=False))
            - sum(score.log_probability for score in model.surprisal(row["context"], line_end=False))
            for choice in row["choices"]
        ]
        answers = [float(answer[0]) for answer in sample["filtered_resps"]]
        assert answers == pytest.approx(scores, rel=1e-4)
        right += scores.index(max(scores)) == row["answer"]
    assert found["results"]["my_agreement"]["acc,none"] == pytest.approx(right / 3)
