"""Sampling: the filters by their definitions, the loop against a plain one without a cache."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from melgpt.errors import UserError
from melgpt.gpt.model import GPT
from melgpt.gpt.sampling import Sampling, guide, pick, probabilities, random_streams, sample
from tiny_gpt import BLOCKS, END, ROWS, VOCABULARY, WIDTH, StubGPT, made

LENGTH = 7 * ROWS
VARIED = Sampling(temperature=0.9, top_k=8, top_p=0.95, min_p=0.01, guidance=1.5)


def run(
    gpt: GPT | StubGPT,
    sampling: Sampling,
    *,
    clips: int = 3,
    seed: int = 0,
    first: int = 0,
    end: int = END,
    prefix: Tensor | None = None,
) -> list[list[int]]:
    width = torch.Generator().manual_seed(4)
    both = torch.randn(2, 1, 1, WIDTH, generator=width)
    prefix = both[0].expand(clips, 1, WIDTH) if prefix is None else prefix
    rows = sample(
        gpt,
        prefix,
        both[1].expand(clips, 1, WIDTH),
        length=LENGTH,
        end=end,
        rows=ROWS,
        sampling=sampling,
        streams=random_streams(seed, clips, first),
    )
    return [row.tolist() for row in rows]


def run_uncached(gpt: GPT, sampling: Sampling, *, seed: int, clip: int) -> list[int]:
    """One clip by whole passes over everything so far."""
    both = torch.randn(2, 1, 1, WIDTH, generator=torch.Generator().manual_seed(4))
    (stream,) = random_streams(seed, 1, clip)
    tokens: list[int] = []
    while len(tokens) < LENGTH:
        conditioned, free = (gpt(torch.tensor([tokens], dtype=torch.int64), p)[:, -1] for p in both)
        logits = guide(conditioned, free, sampling.guidance) if sampling.guidance != 1 else conditioned
        if not tokens or len(tokens) % ROWS:
            logits[:, END] = -torch.inf
        uniform = torch.rand(1, generator=stream, dtype=torch.float64)
        token = int(pick(probabilities(logits, sampling), uniform))
        if token == END:
            break
        tokens.append(token)
    return tokens


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("sampling", [Sampling(temperature=0), Sampling(), VARIED], ids=str)
def test_cached_and_uncached_sampling_give_the_same_tokens(blocks: str, sampling: Sampling) -> None:
    gpt = made(blocks)
    with torch.inference_mode():
        expected = [run_uncached(gpt, sampling, seed=2, clip=i) for i in range(3)]
    assert run(gpt, sampling, seed=2) == expected
    assert max(map(len, expected)) > ROWS


@pytest.mark.parametrize("sampling", [Sampling(), VARIED], ids=str)
def test_a_clip_does_not_depend_on_the_batch_it_was_made_in(sampling: Sampling) -> None:
    gpt = made()
    together = run(gpt, sampling, clips=5, seed=7)
    assert together == [run(gpt, sampling, clips=1, seed=7, first=i)[0] for i in range(5)]
    assert together[:2] == run(gpt, sampling, clips=2, seed=7)
    assert len({tuple(row) for row in together}) == 5


def test_a_stream_stands_at_the_same_place_alone_and_beside_longer_clips() -> None:
    """What follows the tokens, such as a vocoder's noise, is drawn from the same stream."""
    table = torch.zeros(1, VOCABULARY)
    table[0, END] = 3.0
    prefix = torch.zeros(4, 1, WIDTH)
    lengths, next_numbers = [], []
    for clips in (4, 1):
        streams = random_streams(3, clips)
        made_rows = sample(
            StubGPT(table),
            prefix[:clips],
            prefix[:clips],
            length=LENGTH,
            end=END,
            rows=ROWS,
            sampling=Sampling(),
            streams=streams,
        )
        lengths.append([len(row) for row in made_rows])
        next_numbers.append(float(torch.rand(1, generator=streams[0])))
    assert lengths[0][0] < max(lengths[0])
    assert next_numbers[0] == next_numbers[1]


def test_seeds_give_different_clips_and_the_same_seed_the_same() -> None:
    gpt = made()
    assert run(gpt, Sampling(), seed=1) == run(gpt, Sampling(), seed=1)
    assert run(gpt, Sampling(), seed=1) != run(gpt, Sampling(), seed=2)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(UserError, match="from 0 on, not -1"):
        random_streams(-1, 1)


def test_temperature_zero_takes_the_likeliest_token_whatever_the_seed() -> None:
    gpt = made()
    greedy = Sampling(temperature=0)
    rows = run(gpt, greedy, seed=1)
    assert rows == run(gpt, greedy, seed=2)
    assert rows[0] == rows[1]


def test_guidance_of_one_is_no_guidance_and_of_zero_no_condition() -> None:
    gpt = made()
    both = torch.randn(2, 1, 1, WIDTH, generator=torch.Generator().manual_seed(4))
    conditioned = run(gpt, Sampling(guidance=1.0))
    free = run(gpt, Sampling(guidance=1.0), prefix=both[1].expand(3, 1, WIDTH))
    assert conditioned != free
    assert run(gpt, Sampling(guidance=0.0)) == free
    assert run(gpt, Sampling(guidance=1.0000001)) == conditioned


def test_guidance_moves_away_from_the_unconditioned() -> None:
    conditioned, free = torch.tensor([[1.0, 0.0, 0.0]]), torch.zeros(1, 3)
    shares = [float(guide(conditioned, free, g).softmax(-1)[0, 0]) for g in (0.0, 1.0, 3.0)]
    assert shares[0] == pytest.approx(1 / 3)
    assert shares[1] == pytest.approx(float(conditioned.softmax(-1)[0, 0]))
    assert shares[2] > shares[1]


def test_sounds_are_whole_columns_and_end_only_at_the_top_of_one() -> None:
    table = torch.zeros(1, VOCABULARY)
    table[0, END] = 2.0
    rows = run(StubGPT(table), Sampling(), clips=40)
    lengths = {len(row) for row in rows}
    assert all(length % ROWS == 0 for length in lengths)
    assert len(lengths) > 2
    assert min(lengths) >= ROWS
    assert all(END not in row for row in rows)


def test_a_sound_never_ends_before_its_first_column_and_never_passes_its_length() -> None:
    eager, never = torch.zeros(1, VOCABULARY), torch.zeros(1, VOCABULARY)
    eager[0, END], never[0, END] = 50.0, -50.0
    assert [len(row) for row in run(StubGPT(eager), Sampling())] == [ROWS] * 3
    assert [len(row) for row in run(StubGPT(never), Sampling())] == [LENGTH] * 3


def test_a_vocabulary_without_an_end_fills_the_length() -> None:
    rows = run(StubGPT(torch.zeros(1, VOCABULARY)), Sampling(), clips=9, end=VOCABULARY)
    assert [len(row) for row in rows] == [LENGTH] * 9
    assert any(END in row for row in rows)


def test_a_length_of_broken_columns_is_refused() -> None:
    prefix = torch.zeros(1, 1, WIDTH)
    with pytest.raises(ValueError, match="4 tokens are not whole columns of 3 rows"):
        sample(
            made(),
            prefix,
            prefix,
            length=4,
            end=END,
            rows=3,
            sampling=Sampling(),
            streams=random_streams(0, 1),
        )


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    table = torch.full((1, VOCABULARY), -40.0)
    table[0, :3] = torch.tensor([0.5, 0.3, 0.2]).log()
    drawn = torch.tensor(run(StubGPT(table), Sampling(), clips=100)).flatten()
    share = drawn.bincount(minlength=3) / len(drawn)
    assert torch.allclose(share, torch.tensor([0.5, 0.3, 0.2]), atol=0.05)


def kept(logits: Sequence[float], **options: float) -> list[int]:
    share = probabilities(torch.tensor([logits]).log(), Sampling.parse(options))
    assert float(share.sum()) == pytest.approx(1)
    return share[0].nonzero().flatten().tolist()


def test_top_k_keeps_the_k_likeliest_and_ties() -> None:
    assert kept([0.1, 0.4, 0.2, 0.3], top_k=2) == [1, 3]
    assert kept([0.2, 0.4, 0.2, 0.2], top_k=2) == [0, 1, 2, 3]
    assert kept([0.2, 0.4, 0.2, 0.2], top_k=1) == [1]
    assert kept([0.2, 0.4, 0.2, 0.2], top_k=0) == [0, 1, 2, 3]
    assert kept([0.2, 0.4, 0.4], top_k=99) == [0, 1, 2]


def test_top_p_keeps_the_fewest_tokens_that_reach_it() -> None:
    assert kept([0.1, 0.4, 0.2, 0.3], top_p=0.6) == [1, 3]
    assert kept([0.1, 0.4, 0.2, 0.3], top_p=0.75) == [1, 2, 3]
    assert kept([0.1, 0.4, 0.2, 0.3], top_p=0.01) == [1]
    assert kept([0.1, 0.4, 0.2, 0.3], top_p=1.0) == [0, 1, 2, 3]


def test_min_p_is_measured_against_the_likeliest() -> None:
    assert kept([0.1, 0.4, 0.15, 0.35], min_p=0.3) == [1, 2, 3]
    assert kept([0.1, 0.4, 0.15, 0.35], min_p=1.0) == [1]


def test_temperature_divides_the_logits() -> None:
    logits = torch.randn(2, 5)
    share = probabilities(logits, Sampling(temperature=0.5))
    assert torch.allclose(share.float(), (2 * logits).softmax(-1), atol=1e-6)
    assert probabilities(logits, Sampling(temperature=1e-300)).amax(-1).tolist() == [1, 1]


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1}, {"top_k": -1}, {"top_p": 0}, {"top_p": 1.1}, {"min_p": 2}, {"guidance": -1}],
)
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        Sampling.parse(wrong)


shares = st.lists(
    st.one_of(st.just(0.0), st.floats(1e-300, 1.0), st.floats(0.01, 1.0)), min_size=1, max_size=40
).filter(any)
uniforms = st.one_of(st.floats(0, 1, exclude_max=True), st.just(1 - 2**-53))


@given(shares, uniforms)
def test_a_token_of_probability_zero_is_never_picked(weights: list[float], uniform: float) -> None:
    share = torch.tensor([weights], dtype=torch.float64)
    share = share / share.sum()
    token = int(pick(share, torch.tensor([uniform], dtype=torch.float64)))
    assert share[0, token] > 0


@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=12),
    st.floats(0, 3),
    st.integers(0, 14),
    st.floats(0.01, 1),
    st.floats(0, 1),
)
def test_filtered_probabilities_sum_to_one_and_keep_the_likeliest(
    logits: list[float], temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    options = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    row = torch.tensor([logits])
    share = probabilities(row, options)
    assert float(share.sum()) == pytest.approx(1)
    # Logits that differ by less than rounding are equally likely: any one of them may be the kept one.
    kept = row[0, int(share.argmax())]
    assert float(kept) == pytest.approx(float(row.max()), abs=1e-9)
