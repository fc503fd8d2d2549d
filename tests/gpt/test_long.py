"""Sounds longer than the context: the plans of windows, and the loop against a plain one without a cache."""

import pytest
import torch
from torch import Tensor

from melgpt.gpt.long import Window, centres, sample_long, strides
from melgpt.gpt.model import GPT
from melgpt.gpt.sampling import Sampling, guide, pick, probabilities, random_streams, sample
from tiny_gpt import BLOCKS, END, ROWS, WIDTH, made

CONTEXT, COLUMNS = 8, 21
VARIED = Sampling(temperature=0.9, top_k=8, top_p=0.95, guidance=1.5)
BOTH = torch.randn(2, 1, 1, WIDTH, generator=torch.Generator().manual_seed(4))


def write(
    gpt: GPT,
    plan: list[Window],
    sampling: Sampling,
    *,
    clips: int = 2,
    seed: int = 0,
    given: Tensor | None = None,
) -> Tensor:
    return sample_long(
        gpt,
        lambda start: BOTH[0].expand(clips, 1, WIDTH),
        BOTH[1].expand(clips, 1, WIDTH),
        plan=plan,
        rows=ROWS,
        codes=END,
        sampling=sampling,
        streams=random_streams(seed, clips),
        given=given,
    )


def write_uncached(gpt: GPT, plan: list[Window], sampling: Sampling, seed: int) -> list[int]:
    """The first clip, with a whole pass over the window for every token."""
    (stream,) = random_streams(seed, 1)
    tokens: list[int] = []
    for window in plan:
        while len(tokens) < window.stop * ROWS:
            seen = torch.tensor([tokens[window.start * ROWS :]], dtype=torch.int64)
            conditioned, free = (gpt(seen, prefix)[:, -1] for prefix in BOTH)
            logits = guide(conditioned, free, sampling.guidance) if sampling.guidance != 1 else conditioned
            logits[:, END] = -torch.inf
            uniform = torch.rand(1, generator=stream, dtype=torch.float64)
            tokens.append(int(pick(probabilities(logits, sampling), uniform)))
    return tokens


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("planned", [centres, strides])
@pytest.mark.parametrize("sampling", [Sampling(temperature=0), VARIED], ids=str)
@torch.inference_mode()
def test_the_cache_changes_no_token(blocks: str, planned: object, sampling: Sampling) -> None:
    gpt, plan = made(blocks), planned(COLUMNS, CONTEXT)
    assert write(gpt, plan, sampling, seed=3)[0].tolist() == write_uncached(gpt, plan, sampling, 3)


def test_the_originals_plan_keeps_the_column_in_the_middle() -> None:
    plan = centres(COLUMNS, CONTEXT)
    starts = {c: w.start for w in plan for c in range(w.first, w.stop)}
    assert starts == {c: max(0, min(c - CONTEXT // 2, COLUMNS - CONTEXT)) for c in range(COLUMNS)}


@pytest.mark.parametrize("planned", [centres, strides])
@pytest.mark.parametrize("columns", [1, 7, 8, 9, 12, 13, 50])
@pytest.mark.parametrize("given", [0, 1, 5])
def test_every_column_is_written_once_inside_its_window(planned: object, columns: int, given: int) -> None:
    plan = planned(columns, CONTEXT, given=given)
    written = [c for w in plan for c in range(w.first, w.stop)]
    assert written == list(range(given, columns))
    for window in plan:
        assert 0 <= window.start <= window.first < window.stop <= window.start + CONTEXT
        assert window.start == 0 or window.first - window.start >= CONTEXT // 2


def test_a_window_moves_once_for_several_columns() -> None:
    assert strides(15, 8) == [Window(0, 0, 8), Window(4, 8, 10), Window(6, 10, 12), Window(7, 12, 15)]
    full = strides(20, 8, kept=4, step=4)
    assert full == [Window(0, 0, 8), Window(4, 8, 12), Window(8, 12, 16), Window(12, 16, 20)]


@pytest.mark.parametrize(("kept", "step"), [(8, 1), (4, 5), (-1, 2), (3, 0)])
def test_a_window_that_is_too_full_is_refused(kept: int, step: int) -> None:
    with pytest.raises(ValueError, match="cannot keep"):
        strides(20, 8, kept=kept, step=step)


@pytest.mark.parametrize("sampling", [Sampling(), VARIED], ids=str)
def test_the_first_window_is_a_short_sound(sampling: Sampling) -> None:
    gpt = made()
    prefix, nothing = (part.expand(2, 1, WIDTH) for part in BOTH)
    long = write(gpt, strides(COLUMNS, CONTEXT), sampling, seed=5)
    # A token that is never drawn takes the place of the end: the short sound is as long as the window.
    gpt.head.weight.data[END] = 0
    if gpt.row_bias is not None:
        gpt.row_bias.data[:, END] = -1e9
    short = sample(
        gpt,
        prefix,
        nothing,
        length=CONTEXT * ROWS,
        end=END,
        rows=ROWS,
        sampling=sampling,
        streams=random_streams(5, 2),
    )
    assert torch.equal(long[:, : CONTEXT * ROWS], torch.stack(short))


def test_no_sound_ends_before_its_time() -> None:
    gpt = made()
    gpt.row_bias.data[:, END] = 100.0
    assert int(write(gpt, strides(COLUMNS, CONTEXT), Sampling()).max()) < END


def test_a_clip_depends_on_its_seed_and_not_on_its_batch() -> None:
    gpt, plan = made(), strides(COLUMNS, CONTEXT)
    five = write(gpt, plan, VARIED, clips=5, seed=7)
    assert torch.equal(five[:2], write(gpt, plan, VARIED, clips=2, seed=7))
    assert not torch.equal(five, write(gpt, plan, VARIED, clips=5, seed=8))
    assert len(five.unique(dim=0)) == 5


def test_what_is_given_stays_and_is_gone_on_from() -> None:
    gpt = made()
    whole = write(gpt, strides(COLUMNS, CONTEXT), Sampling(temperature=0))
    given = whole[:, : 5 * ROWS]
    again = write(gpt, strides(COLUMNS, CONTEXT, given=5), Sampling(temperature=0), given=given)
    assert torch.equal(again, whole)


def test_the_cache_is_as_long_as_one_window() -> None:
    gpt, lengths = made(), []
    made_cache = gpt.empty_cache
    gpt.empty_cache = lambda batch, length: lengths.append(length) or made_cache(batch, length)
    write(gpt, strides(200, CONTEXT), Sampling())
    assert lengths == [1 + CONTEXT * ROWS]


def test_each_window_has_a_prefix_of_its_own() -> None:
    asked = []

    def prefix(start: int) -> Tensor:
        asked.append(start)
        return torch.full((1, 1, WIDTH), float(start))

    plan = strides(COLUMNS, CONTEXT)
    sample_long(
        made(),
        prefix,
        BOTH[1],
        plan=plan,
        rows=ROWS,
        codes=END,
        sampling=Sampling(),
        streams=random_streams(0, 1),
    )
    assert asked == [window.start for window in plan]
