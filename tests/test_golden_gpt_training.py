"""The originals' transformer trains here as there: losses, gradients and weights of two AdamW steps."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from melgpt.gpt.model import weight_decay_groups
from melgpt.gpt.order import flatten
from melgpt.gpt.prior import Prior
from melgpt.pretrained.gpt import config_of_original, from_original

FILE = "lit_mingpt_class.pt"


@pytest.fixture(scope="module")
def content(golden: Path) -> dict[str, Any]:
    return torch.load(golden / FILE, weights_only=True)


def _state(content: dict[str, Any]) -> dict[str, Tensor]:
    state = content["checkpoint"]["state_dict"]
    return {key.removeprefix("transformer."): tensor for key, tensor in state.items()}


def _places(state: dict[str, Tensor]) -> dict[str, tuple[str, Tensor]]:
    """Where each of the originals' tensors lies in ours: our name, and a mask over it."""
    keys = [key for key in state if not key.endswith("attn.mask")]
    marked = {key: torch.full_like(state[key], float(number)) for number, key in enumerate(keys)}
    ours = from_original({**state, **marked})
    # Ours has one more class, "no class", which the originals do not know.
    ours["conditioning.embedding.weight"][-1] = -1
    found = {}
    for number, key in enumerate(keys):
        ((name, mask),) = [(n, t == number) for n, t in ours.items() if bool((t == number).any())]
        found[key] = (name, mask)
    return found


def test_two_steps_equal_the_originals(content: dict[str, Any]) -> None:
    state = _state(content)
    settings = content["config"]["gpt"]
    prior = Prior(config_of_original(state, heads=settings["n_head"]))
    prior.load_state_dict(from_original(state), strict=True)
    prior.eval()  # as the record was made: without dropout
    optimiser = torch.optim.AdamW(
        weight_decay_groups(prior, 0.01), lr=settings["learning_rate"], betas=(0.9, 0.95)
    )
    parameters, places = dict(prior.named_parameters()), _places(state)
    tokens, labels = flatten(content["inputs"]["codes_grid"]), content["inputs"]["target"]
    for step in content["outputs"]["adamw_two_steps_eval_mode"]:
        optimiser.zero_grad()
        loss = F.cross_entropy(prior(tokens[:, :-1], labels).flatten(0, 1), tokens.flatten())
        loss.backward()
        assert float(loss.detach()) == pytest.approx(step["loss"], rel=1e-5)
        for key, norm in step["grad_norms"].items():
            name, mask = places[key]
            assert float(parameters[name].grad[mask].norm()) == pytest.approx(norm, rel=1e-3, abs=1e-6), key
        optimiser.step()
        for key, (total, length) in step["checksums"].items():
            name, mask = places[key]
            values = parameters[name].detach()[mask].double()
            assert float(values.norm()) == pytest.approx(length, rel=1e-3), key
            assert float(values.sum()) == pytest.approx(total, rel=1e-3, abs=1e-3), key


def test_decay_is_on_the_same_weights(content: dict[str, Any]) -> None:
    state = _state(content)
    prior = Prior(config_of_original(state, heads=content["config"]["gpt"]["n_head"]))
    names = {id(parameter): name for name, parameter in prior.named_parameters()}
    ours = [{names[id(p)] for p in group["params"]} for group in weight_decay_groups(prior, 0.01)]
    places = _places(state)
    for group, mine in zip(content["outputs"]["optimizer_groups"], ours, strict=True):
        assert {places[key.removeprefix("transformer.")][0] for key in group["params"]} == mine
