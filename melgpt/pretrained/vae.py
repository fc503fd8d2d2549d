"""The originals' GPT-VAE as a state dict → `gpt.vae`: an encoder without a mask and a causal decoder."""

from torch import Tensor

from melgpt.errors import UserError
from melgpt.gpt.vae import GPTVAEConfig
from melgpt.nn.transformer import BlockConfig
from melgpt.pretrained.gpt import transformer_of_original

_HALVES = ("encoder", "decoder")
_LOSS_WEIGHT = "decoder.loss.weight"
DROPPED = (_LOSS_WEIGHT,)
"""Keys that are checked and left out, beside the masks."""


def from_original(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """State dict of `GPTVAE` from the originals'; masks and the (equal) weights of the loss are left out.

    Raises UserError for a key that such a VAE does not have, and for masks or weights of another kind.
    """
    halves = {half: _half(state, half) for half in _HALVES}
    used = {_key(half, key) for half in _HALVES for key in halves[half]} | set(DROPPED)
    if unknown := [key for key in state if key not in used]:
        raise UserError(f"not a GPT-VAE of the originals: it has no part '{unknown[0]}'")
    weight = state.get(_LOSS_WEIGHT)
    if weight is not None and not (weight == 1).all():
        raise UserError(f"this GPT-VAE of the originals weighs codes differently ({_LOSS_WEIGHT})")
    ours: dict[str, Tensor] = {}
    for half, transformer in halves.items():
        for key, tensor in transformer_of_original(transformer, causal=half == "decoder").items():
            if not key.startswith("gpt."):
                raise UserError(f"not a GPT-VAE of the originals: its {half} has a part '{key}'")
            ours[f"{half}.{key.removeprefix('gpt.')}"] = tensor
    return ours


def config_of_original(
    state: dict[str, Tensor], *, heads: int, rows: int = 5, dropout: float = 0.5
) -> GPTVAEConfig:
    """Sizes that the originals' file tells by itself, with those that it does not.

    heads: attention heads of both halves; rows: rows H of the codec's grid; dropout: of the decoder, for
    training on (the encoder has none). Raises UserError where these do not fit.
    """
    halves = {half: _half(state, half) for half in _HALVES}
    codebook, width = halves["decoder"]["tok_emb.weight"].shape
    length = halves["encoder"]["pos_emb"].shape[1]
    if length % rows:
        raise UserError(f"the {length} tokens of this GPT-VAE are not whole columns of {rows} rows")
    blocks = {
        half: BlockConfig.seed(layers=_layers(halves[half]), width=width, heads=heads, dropout=share)
        for half, share in zip(_HALVES, (0.0, dropout), strict=True)
    }
    return GPTVAEConfig(**blocks, row_aware=False, codebook=codebook, rows=rows, columns=length // rows)


def _key(half: str, key: str) -> str:
    return f"{half}.transformer.{key}"


def _half(state: dict[str, Tensor], half: str) -> dict[str, Tensor]:
    start = _key(half, "")
    found = {key.removeprefix(start): tensor for key, tensor in state.items() if key.startswith(start)}
    if missing := [_key(half, key) for key in ("tok_emb.weight", "pos_emb") if key not in found]:
        raise UserError(f"not a GPT-VAE of the originals: it lacks {', '.join(missing)}")
    return found


def _layers(half: dict[str, Tensor]) -> int:
    return len({key.split(".")[1] for key in half if key.startswith("blocks.")})
