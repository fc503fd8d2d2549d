"""Several codes a cell."""

import pytest
import torch

from melgpt.errors import UserError
from melgpt.quantizers.product import ProductConfig, ProductQuantizer


def made(**part: object) -> ProductQuantizer:
    torch.manual_seed(0)
    return ProductQuantizer(
        ProductConfig.parse({"parts": 3, "part": part or {"kind": "fsq", "levels": [3, 2]}})
    )


def test_each_part_of_the_channels_has_its_digit() -> None:
    quantizer = made()
    z = torch.randn(2, quantizer.dim, 3, 4)
    digits = [part(values).codes for part, values in zip(quantizer.parts, z.chunk(3, dim=1), strict=True)]
    assert torch.equal(quantizer(z).codes, digits[0] + 6 * digits[1] + 36 * digits[2])


def test_every_combination_is_a_code_of_its_own() -> None:
    quantizer = made()
    codes = torch.arange(quantizer.codebook_size).view(1, 6, 36)
    assert torch.equal(quantizer(quantizer.lookup(codes)).codes, codes)


def test_the_parts_learn_each_for_itself() -> None:
    quantizer = made(kind="vq", codes=4, dim=2)
    quantizer(torch.randn(1, 6, 2, 2)).loss.backward()
    assert all(part.codebook.weight.grad.abs().sum() > 0 for part in quantizer.parts)


def test_too_many_combinations_are_refused() -> None:
    with pytest.raises(UserError, match="262144 combinations, at most 65536"):
        ProductConfig.parse({"part": {"kind": "ema", "codes": 512}})
    with pytest.raises(UserError, match="give each part fewer codes"):  # and no codebook was allocated
        ProductConfig.parse({"part": {"kind": "ema", "codes": 10**12}})


def test_a_part_of_no_known_kind_is_named() -> None:
    with pytest.raises(UserError, match="unknown quantizer kind 'emo'"):
        ProductConfig.parse({"part": "emo"})
