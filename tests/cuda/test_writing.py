"""A recorded step writes the tokens of the loop, and those of the CPU."""

import pytest
import torch
from torch import Tensor

from melgpt.gpt import writing
from melgpt.gpt.long import sample_long, strides
from melgpt.gpt.model import GPT
from melgpt.gpt.sampling import Sampling, random_streams, sample
from melgpt.runtime import RuntimeConfig
from tiny_gpt import BLOCKS, END, ROWS, WIDTH, made

LENGTH = 8 * ROWS
VARIED = Sampling(temperature=0.9, top_k=8, top_p=0.95, min_p=0.01, guidance=1.5)
CHOICES = [Sampling(temperature=0), Sampling(), VARIED]
BOTH = torch.randn(2, 1, 1, WIDTH, generator=torch.Generator().manual_seed(4))


def _write(gpt: GPT, sampling: Sampling, clips: int = 3) -> list[list[int]]:
    device = gpt.device
    rows = sample(
        gpt,
        BOTH[0].expand(clips, 1, WIDTH).to(device),
        BOTH[1].expand(clips, 1, WIDTH).to(device),
        length=LENGTH,
        end=END,
        rows=ROWS,
        sampling=sampling,
        streams=random_streams(2, clips),
    )
    return [row.tolist() for row in rows]


def _write_long(gpt: GPT, sampling: Sampling) -> Tensor:
    device = gpt.device
    return sample_long(
        gpt,
        lambda start: BOTH[0].expand(2, 1, WIDTH).to(device),
        BOTH[1].expand(2, 1, WIDTH).to(device),
        plan=strides(31, 8),
        rows=ROWS,
        codes=END,
        sampling=sampling,
        streams=random_streams(3, 2),
    ).cpu()


@pytest.mark.parametrize("blocks", BLOCKS)
@pytest.mark.parametrize("sampling", CHOICES, ids=str)
def test_a_recorded_step_writes_what_the_loop_writes(
    blocks: str, sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpt = made(blocks)
    expected, long = _write(gpt, sampling), _write_long(gpt, sampling)
    gpt.cuda()
    recorded = []
    monkeypatch.setattr(
        writing.Writer,
        "_record",
        lambda self, *a, made=writing.Writer._record: recorded.append(1) or made(self, *a),
    )
    found, found_long = _write(gpt, sampling), _write_long(gpt, sampling)
    assert len(recorded) == 2, "once for each, however many windows there are"
    monkeypatch.setattr(writing, "WORTH_RECORDING", 10**6)
    assert found == _write(gpt, sampling) == expected
    assert torch.equal(found_long, _write_long(gpt, sampling))
    assert torch.equal(found_long, long)
    assert len(recorded) == 2


@pytest.mark.parametrize("clips", [1, 5])
def test_a_clip_does_not_depend_on_its_batch(clips: int) -> None:
    gpt = made().cuda()
    assert _write(gpt, VARIED, 5)[:clips] == _write(gpt, VARIED, clips)


def test_weights_that_change_are_read_anew() -> None:
    gpt = made().cuda()
    before = _write(gpt, Sampling())
    with torch.no_grad():
        gpt.head.weight.normal_()
    assert _write(gpt, Sampling()) != before


def test_bf16_is_kept_to_the_blocks() -> None:
    gpt = made().cuda()
    RuntimeConfig(precision="bf16").place([gpt])
    assert gpt.head.weight.dtype == torch.float32
    assert gpt.blocks[0].attention.qkv.weight.dtype == gpt.empty_cache(1, 4)[0].keys.dtype == torch.bfloat16
    assert len(_write(gpt, VARIED)) == 3
