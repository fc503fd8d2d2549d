"""An original's Lightning checkpoint goes on in `train.py`: weights, optimiser states and counters."""

from pathlib import Path
from typing import Any

import pytest
import torch

from melgpt import registry
from melgpt.codec.codec import Codec
from melgpt.codec.discriminator import DiscriminatorConfig
from melgpt.compat.codec_task import SeedCodecTask, SeedLosses
from melgpt.compat.resume import start_codec
from melgpt.compat.weights import check_epochs
from melgpt.errors import UserError
from melgpt.losses.codec import CodecLossWeights
from melgpt.pretrained.codec import config_of_original, discriminator_config_of_original
from melgpt.types import MelScale

FILE = "litvqvae_lightning_checkpoint.pt"


@pytest.fixture
def original(golden: Path, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    content = torch.load(golden / FILE, weights_only=True)
    torch.save(content["checkpoint"], tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt", content


def _task(content: dict[str, Any]) -> SeedCodecTask:
    state = content["checkpoint"]["state_dict"]
    scale = MelScale(n_mels=content["inputs"]["image"].shape[1])
    judge: DiscriminatorConfig = discriminator_config_of_original(state)
    vocoder = registry.build("vocoder", registry.configure("vocoder", {"kind": "melgan", "ngf": 4}))
    losses = SeedLosses(1e-3, 2, CodecLossWeights())
    return SeedCodecTask(Codec(config_of_original(state, scale)), judge, losses, vocoder)


def test_counters_and_every_state_are_taken(original: tuple[Path, dict[str, Any]]) -> None:
    path, content = original
    task = _task(content)
    start = start_codec(path, task)
    (go_on,) = start.callbacks
    assert (go_on.epochs, go_on.steps) == (content["checkpoint"]["epoch"] + 1, 8)
    for state, part in zip(go_on.optimisers, (task.codec, task.discriminator), strict=True):
        assert len(state) == len(list(part.parameters()))
    weights = content["checkpoint"]["state_dict"]
    assert torch.equal(task.codec.quantizer.codebook.weight, weights["_vq_vae._embedding.weight"])
    theirs = content["checkpoint"]["optimizer_states"][0]["state"]
    ours = go_on.optimisers[0]
    names = dict(task.codec.named_parameters())
    place = list(names).index("encoder.conv_in.weight")
    assert torch.equal(ours[place]["exp_avg"], theirs[0]["exp_avg"]), "their first parameter is conv_in"


def test_how_many_epochs_it_has_behind_it_is_known(original: tuple[Path, dict[str, Any]]) -> None:
    path, content = original
    start = start_codec(path, _task(content))
    assert start.epochs == content["checkpoint"]["epoch"] + 1
    check_epochs(path, start.epochs, start.epochs + 1)
    with pytest.raises(UserError, match=f"has {start.epochs} epochs behind it"):
        check_epochs(path, start.epochs, start.epochs)


def test_the_first_step_is_the_same_fused_or_not(original: tuple[Path, dict[str, Any]]) -> None:
    """A fused optimiser walks through memory: its averages must lie as the weights do."""
    path, content = original
    stepped = []
    for fused in (True, False):
        task = _task(content)
        (go_on,) = start_codec(path, task).callbacks
        (optimiser, _) = task.configure_optimizers()
        if not fused:
            optimiser = torch.optim.Adam(task.codec.parameters(), lr=1e-3, betas=(0.5, 0.9))
        optimiser.load_state_dict({**optimiser.state_dict(), "state": go_on.optimisers[0]})
        for number, parameter in enumerate(task.codec.parameters()):
            generator = torch.Generator().manual_seed(number)
            gradient = torch.randn(parameter.shape, generator=generator) * 1e-3
            parameter.grad = torch.empty_like(parameter).copy_(gradient)
        optimiser.step()
        stepped.append([p.detach().clone() for p in task.codec.parameters()])
    for one, other in zip(*stepped, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)
