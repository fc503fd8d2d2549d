"""265 new codes from the GPT: without a cache (plain), ours, and transformers' GPT-2 of the same size.

The plain way recomputes every position for every code. It is timed at a few places of the sequence and summed
up along the straight line through them, since the whole takes minutes. It gains nothing from more than eight
clips at once, so larger batches stand against as many times eight.
"""

import statistics

import torch

from benchmarks.machine import WORDS, Machine, reading
from benchmarks.measure import Row, Way, fastest, in_turns, row_of
from melgpt.gpt.model import GPT
from melgpt.gpt.sampling import Sampling, random_streams, sample
from melgpt.nn.transformer import BlockConfig
from melgpt.runtime import RuntimeConfig, choose_device

TOKENS, CODES, ROWS = 265, 1024, 5
PASSES = 8
"""Over memory in each round, in turns with the rest: how fast it is changes from minute to minute."""
READ_BYTES = 2
"""Of a weight, which is read as bf16."""
PLAIN_BATCH = 8
PLACES = (16, 100, 180, 256)
SIZES = {"8 layers / 512": (8, 512, 8, (1, 8)), "24 layers / 1024": (24, 1024, 16, (1, 8, 32))}


def rows(machine: Machine, quick: bool) -> list[Row]:
    """A row a size and batch."""
    found = []
    for name, (layers, width, heads, batches) in list(SIZES.items())[: 1 if quick else None]:
        blocks = BlockConfig.seed(layers=layers, width=width, heads=heads, dropout=0.0)
        gpt = GPT(blocks, vocabulary=CODES, context=TOKENS + 1).eval().to(choose_device())
        plain = {batch: _plain(gpt, _prefix(gpt, batch)) for batch in batches}
        RuntimeConfig().place([gpt])
        for batch in batches:
            title = f"GPT {name}, {TOKENS} codes, batch {batch}"
            found.append(_row(title, gpt, batch, plain[batch], machine, quick))
        del gpt
    return found


def _prefix(gpt: GPT, batch: int) -> torch.Tensor:
    return torch.randn(batch, 1, gpt.config.width, device=gpt.head.weight.device)


@torch.inference_mode()
def _row(name: str, gpt: GPT, batch: int, plain: float, machine: Machine, quick: bool) -> Row:
    prefix = _prefix(gpt, batch)

    def ours() -> object:
        return sample(
            gpt,
            prefix,
            prefix,
            length=TOKENS,
            end=None,
            rows=ROWS,
            sampling=Sampling(),
            streams=random_streams(0, batch),
        )

    read = reading(prefix.device)
    ways: dict[str, Way] = {"ours": ours, "read": lambda: [read() for _ in range(PASSES)]}
    if (other := _transformers(gpt, batch)) is not None:
        ways["alternative"] = other
    times = in_turns(ways, 1 if quick or gpt.config.layers > 8 else 3)
    weights = READ_BYTES * sum(p.numel() for m in (gpt.blocks, gpt.head) for p in m.parameters())
    flop = 2 * batch * sum(p.numel() for p in gpt.blocks.parameters())
    bytes_a_second = PASSES * WORDS * 4 / times["read"].median
    each = max(weights / bytes_a_second, flop / machine.best_matrix)
    return row_of(
        name,
        times,
        plain=plain,
        limit=TOKENS * each,
        note="whole batch; limit: reading weights (bf16) or the products; alternative: transformers' GPT-2",
    )


@torch.inference_mode()
def _plain(gpt: GPT, prefix: torch.Tensor) -> float:
    """Seconds for all codes without a cache."""
    at_once = prefix[:PLAIN_BATCH]
    tokens = torch.zeros(len(at_once), max(PLACES), dtype=torch.int64, device=prefix.device)
    seconds = [fastest(lambda n=n: gpt(tokens[:, :n], at_once), 2) for n in PLACES]
    slope, start = statistics.linear_regression(PLACES, seconds)
    return sum(start + slope * n for n in range(TOKENS)) * len(prefix) / len(at_once)


def _transformers(gpt: GPT, batch: int) -> Way | None:
    try:
        from transformers import GPT2Config, GPT2LMHeadModel
    except ImportError:
        return None
    config = GPT2Config(
        vocab_size=CODES,
        n_positions=TOKENS + 1,
        n_embd=gpt.config.width,
        n_layer=gpt.config.layers,
        n_head=gpt.config.heads,
        bos_token_id=0,
        eos_token_id=None,
        pad_token_id=0,
    )
    device = gpt.head.weight.device
    model = GPT2LMHeadModel(config).eval().to(device)
    first = torch.zeros(batch, 1, dtype=torch.int64, device=device)
    return lambda: model.generate(
        first, attention_mask=torch.ones_like(first), max_new_tokens=TOKENS, do_sample=True, top_k=0
    )
