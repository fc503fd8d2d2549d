"""Training the codec is the originals', step for step: losses, gradients, weights and statistics after Adam.

Their order is followed here: the autoencoder's step, then a second forward with the new autoencoder for the
discriminator's step. All numbers come from the functions that `training.codec_task` calls.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from melgpt.codec.codec import Codec
from melgpt.codec.discriminator import Discriminator
from melgpt.losses.adversarial import discriminator_loss
from melgpt.losses.codec import CodecLoss, CodecLossWeights, codec_loss
from melgpt.pretrained.codec import (
    config_of_original,
    discriminator_config_of_original,
    discriminator_from_original,
    from_original,
)
from melgpt.quantizers.vq import VectorQuantizer
from melgpt.types import MelScale

GRADIENT = {"rtol": 1e-3, "atol": 1e-6}
PHASES = [
    "before_disc_start",
    "last_step_before_disc_start",
    "after_disc_start",
    "after_disc_start_unclamped",
]


@pytest.fixture(scope="module")
def content(golden: Path) -> dict:
    return torch.load(golden / "litvqvae_train.pt", weights_only=True)


class Replay:
    """The originals' training of one batch with our parts, from the stored weights and fresh Adam.

    In float64: their first step, at a high learning rate, blows float32's rounding up to some per mille of
    the second forward's gradients, and only one of the two should round.
    """

    def __init__(self, content: dict, limit: float) -> None:
        config, state = content["config"], content["checkpoint"]["state_dict"]
        self.values = content["inputs"]["image"].unsqueeze(1).double()
        self.start = 2 * config["disc_start"]
        codec = config_of_original(state, MelScale(n_mels=self.values.shape[2]))
        # Counting the codes is part of restarting them.
        counting = {**codec.quantizer.plain(), "restart": True}
        self.codec = Codec(codec.changed(quantizer=counting)).train()
        self.codec.load_state_dict(from_original(state), strict=True)
        self.discriminator = Discriminator(discriminator_config_of_original(state)).train()
        self.discriminator.load_state_dict(discriminator_from_original(state), strict=True)
        self.codec.double(), self.discriminator.double()
        self.weights = CodecLossWeights(
            quantizer=config["codebook_weight"],
            adversarial=config["disc_weight"],
            adversarial_least=config["min_adapt_weight"],
            adversarial_limit=limit,
        )
        self.rate = config["learning_rate"]
        options = {"lr": self.rate, "betas": (0.5, 0.9)}
        self.optimisers = [
            torch.optim.Adam(network.parameters(), **options) for network in (self.codec, self.discriminator)
        ]
        codec_keys = [key for key in state if not key.startswith("discriminator.")]
        self.names = dict(zip(codec_keys, from_original(state), strict=True))

    def tensor(self, key: str) -> Tensor:
        """A parameter or buffer of ours by the originals' key."""
        if key.startswith("discriminator."):
            parts = dict(self.discriminator.named_parameters()) | dict(self.discriminator.named_buffers())
            return parts[key.replace("discriminator.main.", "layers.")]
        return dict(self.codec.named_parameters())[self.names[key]]

    def autoencoder_step(self, global_step: int) -> CodecLoss:
        self.discriminator.requires_grad_(False)
        quantized = self.codec.encode(self.values)
        reconstruction = self.codec.decode(quantized.z)
        loss = codec_loss(
            self.values,
            reconstruction,
            quantized.loss,
            last_layer=self.codec.decoder.conv_out.weight,
            weights=self.weights,
            fake_logits=self.discriminator(reconstruction),
            adversarial_factor=float(global_step >= self.start),
        )
        self._step(0, loss.total)
        self.discriminator.requires_grad_(True)
        return loss

    def discriminator_step(self, global_step: int) -> dict[str, Tensor]:
        with torch.no_grad():
            reconstruction = self.codec.decode(self.codec.encode(self.values).z)
        real, fake = self.discriminator(self.values), self.discriminator(reconstruction)
        loss = float(global_step >= self.start) * discriminator_loss(real, fake)
        self._step(1, loss)
        return {"disc_loss": loss, "logits_real": real.mean(), "logits_fake": fake.mean()}

    def _step(self, number: int, loss: Tensor) -> None:
        self.optimisers[number].zero_grad()
        loss.backward()
        self.optimisers[number].step()

    def check(self, expected: dict) -> None:
        """Gradients, all weights after the step, and the statistics of the discriminator."""
        grads = {key: self.tensor(key).grad for key in expected["grad_norms"]}
        for key, norm in expected["grad_norms"].items():
            assert float(grads[key].norm()) == pytest.approx(norm, rel=1e-3, abs=1e-6), key
        total = torch.stack([grad.norm() for grad in grads.values()]).norm()
        assert float(total) == pytest.approx(expected["total_grad_norm"], rel=1e-3, abs=1e-6)
        for key, (total, norm) in expected["after_step_checksums"].items():
            tensor = self.tensor(key)
            # A bias before a normalisation has no true gradient: Adam makes full steps of rounding noise.
            noise = 0 if tensor.grad is None else int((tensor.grad.abs() < 1e-6).sum())
            ours, most = tensor.detach().double(), 2 * self.rate * noise
            assert float(ours.norm()) == pytest.approx(norm, rel=1e-3, abs=most), key
            assert float(ours.sum()) == pytest.approx(total, rel=1e-3, abs=1e-3 * norm + most), key
        for ours, theirs in (("running_mean", "mean"), ("running_var", "var")):
            found = self.tensor(f"discriminator.main.3.{ours}")
            assert torch.allclose(found.float(), expected[f"disc_running_{theirs}_2"], atol=1e-6, rtol=1e-4)
        seen = int(self.tensor("discriminator.main.3.num_batches_tracked"))
        assert seen == expected["disc_num_batches_tracked"]


@pytest.mark.parametrize("name", PHASES)
def test_both_steps_equal_the_originals(content: dict, name: str) -> None:
    phase = content["outputs"]["phases"][name]
    replay = Replay(content, phase["max_adapt_weight"])
    _check_autoencoder_step(replay, phase["optimizer_0"])
    expected = phase["optimizer_1"]
    logs = replay.discriminator_step(expected["global_step"])
    for key, value in logs.items():
        assert value.item() == pytest.approx(expected["logs"][f"train/{key}"], rel=1e-4, abs=1e-6), key
    for key, layer in (("grad_disc_first", "0"), ("grad_disc_last", "11")):
        assert_near(replay.tensor(f"discriminator.main.{layer}.weight").grad, expected[key])
    replay.check(expected)
    assert torch.equal(replay.codec.quantizer.usage, phase["usage_counts_train"].float())
    for key, value in phase["after_both"].items():
        # Adam makes a full step of the sign of a gradient, even of one that is rounding noise.
        tensor = replay.tensor(key)
        told = torch.ones_like(value, dtype=torch.bool) if tensor.grad is None else tensor.grad.abs() > 1e-7
        assert torch.allclose(tensor[told].float(), value[told], atol=2e-5), key


def assert_near(gradient: Tensor, expected: Tensor) -> None:
    """Within a thousandth, as a whole."""
    assert float((gradient - expected).norm()) <= 1e-3 * float(expected.norm()) + 1e-6


def _check_autoencoder_step(replay: Replay, expected: dict) -> None:
    loss = replay.autoencoder_step(expected["global_step"])
    logs = expected["logs"]
    for ours, key in (
        (loss.total, "total_loss"),
        (loss.quantizer, "quant_loss"),
        (loss.fidelity, "nll_loss"),
        (loss.l1, "rec_loss"),
        (loss.adversarial, "g_loss"),
    ):
        assert ours.item() == pytest.approx(logs[f"train/{key}"], rel=1e-5, abs=1e-6), key
    assert float(loss.adversarial_weight) == pytest.approx(logs["train/d_weight"], rel=1e-4)
    for key, name in (
        ("grad_codebook", "_vq_vae._embedding.weight"),
        ("grad_decoder_conv_out", "_decoder.conv_out.weight"),
        ("grad_encoder_conv_in", "_encoder.conv_in.weight"),
        ("grad_quant_conv", "quant_conv.weight"),
    ):
        assert_near(replay.tensor(name).grad, expected[key])
    replay.check(expected)


def quantizer_of(codebook: Tensor, **options: object) -> VectorQuantizer:
    codes, dim = codebook.shape
    quantizer = VectorQuantizer(VectorQuantizer.Config(codes=codes, dim=dim, **options)).train()
    quantizer.codebook.weight.data.copy_(codebook)
    return quantizer


@torch.no_grad()
def test_index_noise_equals_the_originals(content: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    case, state = content["outputs"]["noise_injection"], content["checkpoint"]["state_dict"]
    quantizer = quantizer_of(state["_vq_vae._embedding.weight"], noise_sigma=1)
    z = case["z"]
    assert torch.equal(quantizer.eval()(z).codes.flatten(), case["indices_clean"].flatten())
    # Half a step more in its direction, so that the truncation has something to do.
    noise = case["noise_int"].reshape(z.shape[0], *z.shape[2:])
    drawn = noise + 0.5 * noise.sign()
    monkeypatch.setattr(torch, "randn", lambda *size, **options: drawn)
    result = quantizer.train()(z)
    assert torch.equal(result.codes.flatten(), case["indices_noisy"].flatten())
    assert result.loss.item() == pytest.approx(case["loss"].item(), rel=1e-5, abs=1e-6)
    assert torch.allclose(result.z, case["quantised"], atol=1e-4, rtol=1e-4)
    assert float(result.metrics["perplexity"]) == pytest.approx(case["perplexity"].item(), rel=1e-5)


def test_restarted_codes_equal_the_originals(content: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    case = content["outputs"]["codebook_restart"]
    quantizer = quantizer_of(case["codebook_before"], restart=True)
    quantizer.usage.copy_(case["usage"])
    monkeypatch.setattr(torch, "randint", lambda *size, **options: case["picked_flat_rows"])
    moved = quantizer.restart_unused(case["vq_out"], torch.Generator())
    assert torch.equal(moved, case["dead"])
    assert torch.equal(quantizer.codebook.weight, case["codebook_after"])
    assert not quantizer.usage.any()


def test_specvqgans_terms_pull_as_they_did(golden: Path) -> None:
    content = torch.load(golden / "specvqgan_vqmodel.pt", weights_only=True)
    state, expected = content["checkpoint"]["state_dict"], content["outputs"]
    codec = Codec(config_of_original(state, MelScale(n_mels=content["inputs"]["x"].shape[2])))
    codec.load_state_dict(from_original(state), strict=True)
    z = expected["z_pre_quant"].clone().requires_grad_()
    codec.quantizer(z).loss.backward()
    wanted = expected["grad_codebook_loss_wrt_z"]
    assert torch.allclose(z.grad[: len(wanted)], wanted, rtol=1e-3, atol=1e-8)
    assert torch.allclose(
        codec.quantizer.codebook.weight.grad, expected["grad_codebook_loss_wrt_codebook"], **GRADIENT
    )
