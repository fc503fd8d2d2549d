"""Writing token after token: where a tensor tells the place, as on a GPU, and by a number, as elsewhere."""

import pytest
import torch
from torch import Tensor

from melgpt.gpt import writing
from melgpt.gpt.long import sample_long, strides
from melgpt.gpt.model import GPT
from melgpt.gpt.sampling import Sampling, draw, look_ahead, random_streams, sample
from melgpt.native.kernels import Kernels
from melgpt.nn.linear import Linear
from tiny_gpt import BLOCKS, END, ROWS, WIDTH, made

VARIED = Sampling(temperature=0.9, top_k=8, top_p=0.95, min_p=0.01, guidance=1.5)
BOTH = torch.randn(2, 1, 1, WIDTH, generator=torch.Generator().manual_seed(4))


def _written(gpt: GPT, sampling: Sampling) -> list[list[int]]:
    clips = 3
    both = [each.expand(clips, 1, WIDTH) for each in BOTH]
    options = {"rows": ROWS, "sampling": sampling}
    short = sample(gpt, *both, length=8 * ROWS, end=END, streams=random_streams(2, clips), **options)
    long = sample_long(
        gpt,
        lambda start: both[0],
        both[1],
        plan=strides(21, 8),
        codes=END,
        streams=random_streams(3, clips),
        **options,
    )
    return [row.tolist() for row in (*short, *long)]


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("sampling", [Sampling(temperature=0), VARIED], ids=str)
def test_a_place_may_be_a_tensor(blocks: str, sampling: Sampling, monkeypatch: pytest.MonkeyPatch) -> None:
    gpt = made(blocks)
    expected = _written(gpt, sampling)
    monkeypatch.setattr(writing, "WORTH_RECORDING", 10**6)
    monkeypatch.setattr(writing.Writer, "_loop", writing.Writer._play)
    assert _written(gpt, sampling) == expected


def test_a_tensor_tells_the_place_of_one_token_in_a_cache() -> None:
    gpt, place = made(), torch.tensor([0])
    with pytest.raises(ValueError, match="needs a cache"):
        gpt._blocks(BOTH[0], place, None)
    with pytest.raises(ValueError, match="that of one token"):
        gpt._embed(torch.zeros(1, 2, dtype=torch.int64), place)


def test_looking_ahead_moves_no_stream() -> None:
    streams = random_streams(5, 3)
    ahead: Tensor = look_ahead(streams, 40)
    one_by_one = [
        [float(torch.rand((), generator=s, dtype=torch.float64)) for _ in range(40)] for s in streams
    ]
    assert ahead.tolist() == one_by_one


def test_each_stream_gives_as_many_numbers_as_it_is_asked_for() -> None:
    counts = [3, 0, 17]
    drawn = draw(random_streams(5, 3), counts)
    assert drawn.shape == (3, 17)
    ahead = look_ahead(random_streams(5, 3), 17)
    for row, expected, count in zip(drawn, ahead, counts, strict=True):
        assert torch.equal(row[:count], expected[:count])
        assert not row[count:].any()


def test_windows_lay_the_weights_out_once(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    gpt, ordered = made(), []
    gpt.write_quickly(rounded=True, kernels=True)
    monkeypatch.setattr(
        kernels, "in_order", lambda weight, make=kernels.in_order: ordered.append(weight) or make(weight)
    )
    _written(gpt, Sampling())
    layers = sum(isinstance(part, Linear) for part in gpt.modules())
    assert len(ordered) == 2 * layers, "once for the short sounds, once for all windows of the long ones"
