"""Every judge says something about every sound, however long, and hears a difference."""

import pytest
import torch

from melgpt.losses.adversarial import discriminator_loss
from melgpt.vocoders.discriminators import SoundDiscriminator, SoundDiscriminatorConfig

ALONE = {
    "periods": {"periods": (2, 3), "resolutions": ()},
    "resolutions": {"periods": (), "resolutions": (512, 1024)},
    "rates": {"periods": (), "resolutions": (), "rates": 3},
}


@pytest.fixture(params=sorted(ALONE))
def judges(request: pytest.FixtureRequest) -> SoundDiscriminator:
    return SoundDiscriminator(SoundDiscriminatorConfig(channels=4, **ALONE[request.param]))


def test_each_judge_gives_its_layers_and_its_logits(judges: SoundDiscriminator) -> None:
    said = judges(torch.randn(2, 4097))
    assert len(said) == len(judges.judges)
    for maps in said:
        assert len(maps) > 3
        assert all(part.shape[0] == 2 for part in maps)
        assert maps[-1].shape[1] == 1, "one logit a patch"


def test_gradients_reach_the_sound_and_every_weight(judges: SoundDiscriminator) -> None:
    samples = torch.zeros(1, 4096, requires_grad=True)
    torch.stack([maps[-1].mean() for maps in judges(samples + 0.1 * torch.randn(1, 4096))]).sum().backward()
    assert samples.grad is not None
    assert samples.grad.isfinite().all()
    assert samples.grad.abs().sum() > 0
    assert all(weight.grad is not None for weight in judges.parameters())


def test_they_learn_to_tell_a_tone_from_noise(judges: SoundDiscriminator) -> None:
    tone = 0.3 * torch.sin(torch.arange(4096) / 10).expand(2, -1)
    optimiser = torch.optim.Adam(judges.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        both = zip(judges(tone), judges(0.2 * torch.randn(2, 4096)), strict=True)
        loss = torch.stack([discriminator_loss(real[-1], fake[-1]) for real, fake in both]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
