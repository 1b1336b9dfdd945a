"""Pieces of a carried text: the same scores as one stream, whatever the network remembers."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest
from every_cell import every_cell
from networks import config, network

from rnnlm.network import pieces
from rnnlm.network.initial_state import LineEndStates
from rnnlm.network.network import Network
from rnnlm.network.pieces import score_in_pieces
from rnnlm.network.scored import Scored
from rnnlm.network.scoring import mean_loss, score, score_streams
from rnnlm.text import corpus
from rnnlm.text.corpus import Corpus
from rnnlm.text.streams import line_streams
from rnnlm.text.vocabulary import Vocabulary

TOKENS = 1500
LINE_END = 9
VOCABULARY = Vocabulary([*(f"w{i}" for i in range(9)), "</s>", "<unk>"], [1] * 11, "word", False)


def text(tokens: int = TOKENS, seed: int = 0) -> Corpus:
    ids = np.random.default_rng(seed).integers(0, 11, tokens)
    words = [*VOCABULARY.tokens, "strange"]
    return corpus.from_tokens([words[id] if id != 10 else "strange" for id in ids], 1, VOCABULARY, "text")


def forgetful(model: dict[str, Any] | None = None, **options: Any) -> Network:
    net = network(config(model=model, **options), 11, deviation=0.15)
    generator = np.random.default_rng(5)
    net.initial = [generator.normal(0, 0.5, cell.state_size).astype(net.dtype) for cell in net.cells]
    return net


def latch() -> Network:
    """Its units hold for ever the sign that their first input gives them."""
    net = forgetful()
    cell = net.parameters["cells"][0]
    cell["H"][:], cell["b1"][:] = 3 * np.eye(6), 0
    cell["I"] *= 0.5
    net.initial = [np.zeros(6)]
    return net


def growing() -> Network:
    """Differences of its states grow (Sompolinsky et al. 1988)."""
    net = network(config(hidden=40), 11, deviation=0.1)
    cell = net.parameters["cells"][0]
    cell["H"] *= 10 * 2 / np.sqrt(40)
    return net


def whole(parts: list[Scored]) -> Scored:
    return Scored.joined(parts)


def one_stream(net: Network, read: Corpus, details: bool = False) -> Scored:
    return whole(list(score_streams(net, line_streams(read, 1, "carry"), details=details)))


def stretches(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What becomes of each stretch from here on."""
    found = []
    real = pieces._score_stretch

    def watched(*arguments: Any) -> Any:
        found.append(real(*arguments))
        return found[-1]

    monkeypatch.setattr(pieces, "_score_stretch", watched)
    return found


@every_cell
@pytest.mark.parametrize("window", [1, 7, None])
def test_every_token_as_in_one_stream(model: dict[str, Any], window: int | None) -> None:
    net, read = forgetful(model, layers=2), text()
    parts = list(score_in_pieces(net, read, window, True, None, pieces=4, shortest=90))
    found, wanted = whole(parts), one_stream(net, read, True)
    np.testing.assert_array_equal(found.position, np.arange(TOKENS))
    np.testing.assert_allclose(found.log_probability, wanted.log_probability, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.entropy, wanted.entropy, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(found.rank, wanted.rank)
    np.testing.assert_array_equal(found.alternative, wanted.alternative)
    np.testing.assert_array_equal(found.unknown, wanted.unknown)
    assert found.unknown.sum() > 50


@pytest.mark.parametrize("window", [1, 7, None])
def test_the_last_tokens_are_those_of_the_text_too(window: int | None) -> None:
    net, read = forgetful({"output": {"type": "direct", "order": 5, "size": 400}}), text()
    assert net.output.history == 4
    found = whole(list(score_in_pieces(net, read, window, False, None, pieces=4, shortest=90)))
    wanted = one_stream(net, read)
    np.testing.assert_allclose(found.log_probability, wanted.log_probability, rtol=0, atol=1e-12)


@pytest.mark.parametrize("tokens", [1, 2, 359, 360, 361, 719, 1000, 1499])
def test_against_the_oracle_whatever_the_length(tokens: int) -> None:
    net, read = forgetful(), text(tokens)
    net.initial = [np.zeros(6)]
    found = whole(list(score_in_pieces(net, read, 5, pieces=4, shortest=90)))
    wanted = oracle.log_probabilities(net.named, read.ids(0, tokens), LINE_END, "tanh", state="carry")
    np.testing.assert_array_equal(found.position, np.arange(tokens))
    np.testing.assert_allclose(found.log_probability, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [latch, growing])
def test_a_network_that_does_not_forget(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No piece but the first two of a stretch is taken, of two stretches; the rest is one stream."""
    net, read, seen = make(), text(3000), stretches(monkeypatch)
    found = whole(list(score_in_pieces(net, read, 6, pieces=4, shortest=90)))
    assert [stretch.right for stretch in seen] == [2, 2]
    assert [stretch.steps for stretch in seen] == [None, None]
    wanted = one_stream(net, read)
    np.testing.assert_array_equal(found.position, np.arange(3000))
    if make is latch:
        np.testing.assert_allclose(found.log_probability, wanted.log_probability, rtol=0, atol=1e-12)
    else:  # rounding grows too
        assert np.isfinite(found.log_probability).all()
        np.testing.assert_allclose(found.log_probability[:12], wanted.log_probability[:12], rtol=0, atol=1e-9)


def test_the_first_pass_alone_would_be_wrong() -> None:
    """What the tests above compare would differ by far more than they allow."""
    net, read = forgetful(), text()
    begun_anew = whole(list(score_streams(net, line_streams(read.part(90, 200), 1, "carry"))))
    wanted = one_stream(net, read)[90:200]
    assert np.abs(begun_anew.log_probability[:3] - wanted.log_probability[:3]).max() > 1e-6


def test_a_network_that_forgets_goes_on_in_longer_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    net, read, seen = forgetful(), text(5000), stretches(monkeypatch)
    list(score_in_pieces(net, read, 5, pieces=4, shortest=90))
    lengths = [sum(len(part.valid) for part in stretch.windows) for stretch in seen]
    assert all(stretch.right == 4 for stretch in seen)
    assert 90 <= lengths[0] < 180
    assert lengths[1] >= 16 * seen[0].steps
    assert len(seen) < 10


def test_one_piece_that_remembers_ends_the_stretch_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third piece's states stay different: three are right, the next stretch begins with the fourth."""
    net, read, seen = forgetful(), text(2000), stretches(monkeypatch)
    real = pieces._same

    def same(*arguments: Any) -> Any:
        found = real(*arguments)
        found[2] &= len(seen) > 0
        return found

    monkeypatch.setattr(pieces, "_same", same)
    found = whole(list(score_in_pieces(net, read, 5, pieces=4, shortest=90)))
    assert seen[0].right == 3
    assert seen[0].steps is None
    assert seen[1].right == 4
    np.testing.assert_array_equal(found.position, np.arange(2000))
    np.testing.assert_allclose(found.log_probability, one_stream(net, read).log_probability, rtol=0, atol=1e-12)


def test_states_that_are_not_numbers_are_never_the_same() -> None:
    net = forgetful()
    nan = [np.full((2, 6), np.nan)]
    assert not pieces._same(net, nan, nan).any()
    zero = [np.zeros((2, 6))]
    assert pieces._same(net, zero, zero).all()
    far = [np.array([[0.0] * 6, [0.0] * 5 + [1e-14]])]
    assert pieces._same(net, zero, far).tolist() == [True, False]


@every_cell
def test_the_states_at_line_ends(model: dict[str, Any]) -> None:
    net, read = forgetful(model, layers=2), text()
    one, other = LineEndStates(net, LINE_END), LineEndStates(net, LINE_END)
    list(score_in_pieces(net, read, 7, line_ends=one, pieces=4, shortest=90))
    list(score_streams(net, line_streams(read, 1, "carry"), line_ends=other))
    found, wanted = one.mean(), other.mean()
    assert found is not None
    assert wanted is not None
    for mine, yours in zip(found, wanted, strict=True):
        np.testing.assert_allclose(mine, yours, rtol=0, atol=1e-12)


def test_scoring_takes_pieces_where_the_recurrent_layers_take_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    read, seen = text(9000), stretches(monkeypatch)
    small = forgetful()
    assert pieces.quicker(small)
    loss = mean_loss(small, read, "carry")
    assert [stretch.right for stretch in seen] == [8]
    assert loss == pytest.approx(-one_stream(small, read).log_probability.mean(), rel=1e-13)
    list(score(small, read, "reset"))
    assert len(seen) == 1
    assert not pieces.quicker(network(config(), 200))


@pytest.mark.parametrize("threads", [1, 2])
def test_float32_agrees_to_its_rounding(threads: int) -> None:
    read = text(4000)
    net = network(config(precision="float32", threads=threads, hidden=40), 11, deviation=0.1)
    found = whole(list(score_in_pieces(net, read, pieces=8, shortest=90)))
    exact = network(config(hidden=40), 11, deviation=0.1)
    np.testing.assert_allclose(found.log_probability, one_stream(exact, read).log_probability, rtol=0, atol=2e-5)


def test_documents_as_in_one_stream() -> None:
    """Of lines that are often empty, with the state of before each piece; not what a carried state gives."""
    net, read = forgetful(), text(8 * 40 + 5)
    found = whole(list(score_in_pieces(net, read, shortest=40, state="document")))
    wanted = whole(list(score_streams(net, line_streams(read, 1, "document"))))
    np.testing.assert_array_equal(found.position, wanted.position)
    np.testing.assert_allclose(found.log_probability, wanted.log_probability, rtol=0, atol=1e-12)
    assert abs(wanted.log_probability - one_stream(net, read).log_probability).max() > 1e-6
