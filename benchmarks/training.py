"""One training step: the codec's with the originals' two generator passes (plain) and with one; the mel
decoder's; the GPT's.

Plain is float32, with torch's dropout; ours is in the precision that `auto` takes.
"""

import copy
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.decoder import counted_flop, flow_decoders
from benchmarks.machine import Machine
from benchmarks.measure import Row, Way, row
from melgpt.codec.codec import Codec
from melgpt.codec.discriminator import Discriminator, DiscriminatorConfig
from melgpt.decoders.flow import FlowDecoder
from melgpt.gpt.model import GPT
from melgpt.losses.adversarial import discriminator_loss
from melgpt.losses.codec import CodecLossWeights, codec_loss
from melgpt.nn import dropout, transformer
from melgpt.nn.transformer import BlockConfig
from melgpt.runtime import choose_device, quick_products, training_precision
from melgpt.training.layout import quick_layout
from melgpt.training.recipe import Recipe

CODEC_FLOP = 3 * (143.0e9 + 261.3e9) + 8 * 6.2e9 / 2
"""A generator pass forward and backward, the discriminator's passes; of 848 frames."""
TOKENS, BATCH = 265, 32


def rows(machine: Machine, quick: bool) -> list[Row]:
    """The codec at the seed's size, the mel decoder of `small`, a GPT of 8 layers; smaller ones for quick."""
    return [_codec(machine, quick), _decoder(machine, quick), _gpt(machine, quick)]


def _codec(machine: Machine, quick: bool) -> Row:
    name = "small" if quick else "seed_vas"
    recipe = Recipe.read(name)
    frames = recipe.train.codec.crop_frames if quick else 848
    device = choose_device()
    ours, judge = Codec(recipe.codec).to(device), Discriminator(DiscriminatorConfig()).to(device)
    ours.lay_out(quick_layout(device, half=training_precision(device, "auto", ours) == "bf16"))
    plain = copy.deepcopy(ours)
    plain.lay_out(torch.contiguous_format)
    plain.write_quickly(rounded=False, kernels=False)
    values = torch.rand(1, 1, recipe.mel.n_mels, frames, device=device) * 2 - 1
    return row(
        f"codec training step, recipe {name}, batch 1",
        {
            "plain": lambda: _codec_step(plain, judge, values, passes=2),
            "ours": _as_trained(lambda: _codec_step(ours, judge, values, passes=1), ours, device),
        },
        1 if quick else 2,
        limit=None if quick else CODEC_FLOP / machine.best_matrix,
        note="with the adversarial part; limit: the products at full speed",
    )


def _codec_step(codec: Codec, judge: Discriminator, values: torch.Tensor, *, passes: int) -> None:
    for part in (codec, judge):
        part.zero_grad()
    quantized = codec.encode(values)
    restored = codec.decode(quantized.z)
    judge.requires_grad_(False)
    loss = codec_loss(
        values,
        restored,
        quantized.loss,
        last_layer=codec.decoder.conv_out.weight,
        weights=CodecLossWeights(),
        fake_logits=judge(restored),
    )
    judge.requires_grad_(True)
    loss.total.backward()
    if passes == 2:
        restored = codec.decode(codec.encode(values).z)
    discriminator_loss(judge(values), judge(restored.detach())).backward()


def _decoder(machine: Machine, quick: bool) -> Row:
    name = "tiny" if quick else "small"
    recipe, device = Recipe.read(name), choose_device()
    ours, plain, given = flow_decoders(
        name, device, recipe.train.decoder.crop_frames, recipe.train.decoder.batch
    )
    target = torch.rand_like(given[0])

    def step(decoder: FlowDecoder) -> None:
        decoder.zero_grad()
        decoder.loss(target, *given).mean().backward()

    return row(
        f"mel decoder training step, recipe {name}, batch {recipe.train.decoder.batch}",
        {
            "plain": lambda: step(plain),
            "ours": _as_trained(lambda: step(ours), ours, device),
        },
        1 if quick else 3,
        limit=counted_flop(lambda: step(plain)) / machine.best_matrix,
        note="limit: the products at full speed",
    )


def _gpt(machine: Machine, quick: bool) -> Row:
    blocks = BlockConfig.seed(layers=8, width=512, heads=8, dropout=0.1)
    device = choose_device()
    gpt = GPT(blocks, vocabulary=1024, context=TOKENS + 1).train().to(device)
    batch = 4 if quick else BATCH
    tokens = torch.randint(0, 1024, (batch, TOKENS), device=device)
    prefix = torch.randn(batch, 1, 512, device=device)

    def step() -> None:
        gpt.zero_grad()
        logits = gpt(tokens[:, :-1], prefix)
        F.cross_entropy(logits.flatten(0, 1), tokens.flatten()).backward()

    def plain() -> None:
        with (
            mock.patch.object(transformer, "attend", _attend_plainly),
            mock.patch.object(dropout.Dropout, "forward", nn.Dropout.forward),
        ):
            step()

    flop = 6 * sum(p.numel() for p in gpt.parameters()) * batch * TOKENS
    return row(
        f"GPT training step, 8 layers / 512, batch {batch}",
        {"plain": plain, "ours": _as_trained(step, gpt, device)},
        1 if quick else 2,
        limit=flop / machine.best_matrix,
        note="limit: the products of the weights at full speed",
    )


def _attend_plainly(
    q: Tensor, k: Tensor, v: Tensor, *, causal: bool, dropout: float = 0.0, seen: Tensor | None = None
) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, seen, dropout_p=dropout, is_causal=causal)


def _as_trained(step: Way, network: nn.Module, device: torch.device) -> Way:
    """The step in the precision that training takes for this on the device, as Lightning wraps it."""
    bf16 = training_precision(device, "auto", network) == "bf16"

    def work() -> None:
        with quick_products(device, "auto"), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            step()

    return work
