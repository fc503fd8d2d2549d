"""A made-up result of an evaluation and short sounds for it; every number is invented."""

from typing import Any

import torch

from melgpt.audio.mel import analyse
from melgpt.evaluation.shown import NEAREST, Shown
from melgpt.types import Audio, MelScale

LABELS = ("dog", "<b>rain & wind</b></script>", "犬")
SCALE = MelScale()


def figure(value: float, half: float = 0.05) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


def made_result(name: str = "tiny") -> dict[str, Any]:
    """A result in which no rule of the reading has anything to say."""
    real = {"accuracy": figure(0.92, 0.02), "precision": figure(0.9), "recall": figure(0.88)}
    real |= {"coverage": figure(0.9), "vendi": figure(20.0, 1.0), "frechet": figure(2.0, 0.2)}
    model = {"accuracy": figure(0.86, 0.03), "precision": figure(0.8, 0.04), "recall": figure(0.72)}
    model |= {"coverage": figure(0.75), "vendi": figure(17.0, 1.0), "frechet": figure(6.0, 0.5)}
    noise = {"accuracy": figure(0.33, 0.03), "frechet": figure(300.0, 9.0)}
    stages = [("real", 0.0), ("mel + vocoder", 2.0), ("codec + vocoder", 4.0), ("generated", 6.0)]
    rows = [
        ("real against real", "floor", "One half of the test clips against the other.", real),
        (
            "codec round trip",
            "ceiling",
            "Test clips through the codec.",
            real | {"frechet": figure(3.1, 0.3)},
        ),
        ("generated", "model", "New sounds, as many of each label as the test split has.", model),
        ("nearest training clip", "control", "A copy machine.", dict(real)),
        ("noise", "control", "White noise.", noise),
    ]
    return {
        "format": 1,
        "melgpt": "0.1.0",
        "model": {"name": name, "fingerprints": {"codec": "c0ffee"}, "labels": list(LABELS)},
        "data": {"name": "made", "fingerprint": "da7a", "clips": {"train": 90, "valid": 10, "test": 60}},
        "protocol": {
            "split": "test",
            "clips": 60,
            "per_class": dict.fromkeys(LABELS, 20),
            "seed": 0,
            "sampling": {"top_p": 0.9},
            "bootstrap": 200,
            "pca": None,
            "neighbours": 5,
            "extractor": {"name": "first", "kind": "cnn", "fingerprint": "ea4"},
        },
        "listeners": [
            {
                "name": "first",
                "kind": "cnn",
                "seed": 0,
                "fingerprint": "ea4",
                "train_clips": 90,
                "test_clips": 60,
                "test_accuracy": figure(0.92, 0.03),
            }
        ],
        "rows": [
            {
                "name": row,
                "role": role,
                "what": what,
                "clips": 600,
                "measures": measures,
                "per_class": {label: {"accuracy": measures["accuracy"]} for label in LABELS},
            }
            for row, role, what, measures in rows
        ],
        "ladder": [
            {
                "stage": stage,
                "what": f"Made up: {stage}.",
                "measures": {"frechet": figure(value, 0.3)}
                | ({} if stage in ("real", "generated") else {"stft": figure(value / 3, 0.1)}),
                "per_class": {}
                if stage in ("real", "generated")
                else {label: {"stft": figure(value / 3, 0.2)} for label in LABELS},
            }
            for stage, value in stages
        ],
        "memorisation": {
            "tokens_per_clip": 265,
            "test_to_train": {"quantiles": {"0.01": 0.2, "0.05": 0.3, "0.5": 0.5, "0.95": 0.8}},
            "flagged": 0,
            "clips": [
                {
                    "index": place,
                    "label": LABELS[place % 3],
                    "distance": 0.35 + 0.02 * place,
                    "features_distance": 1.0,
                    "shift_seconds": 0.0,
                    "percentile": 0.05 + 0.04 * place,
                    "longest_run": 7,
                    "nearest": {"path": f"dog/{place}.wav", "label": "dog", "start": 1.5},
                    "flagged": False,
                }
                for place in range(20)
            ],
        },
        "codec": {"mel_l1": 0.031, "codes_used": 612, "perplexity": 240.0},
        "prior": {"bits_per_token": 4.1, "unigram_bits": 7.2, "class_row_table_bits": 6.4},
        "directions": {"accuracy": "higher", "frechet": "lower", "stft": "lower"},
        "meanings": {"accuracy": "How often a listener hears the label that was asked for."},
        "seconds": {"listen": 3.25},
    }


def made_shown(clips: int = 2, seconds: float = 0.4) -> list[Shown]:
    """`clips` sounds a label and row, and a training clip for each generated one."""
    shown = []
    for row in ("codec round trip", "generated"):
        for place in range(clips * len(LABELS)):
            index = place if row == "generated" else None
            shown.append(_sound(row, LABELS[place % 3], f"clip {place}", seconds, index))
    for place in range(clips * len(LABELS)):
        shown.append(_sound(NEAREST, LABELS[place % 3], f"dog/{place}.wav", seconds, place))
    return shown


def _sound(row: str, label: str, title: str, seconds: float, index: int | None) -> Shown:
    pitch = 200 + 37 * len(row) + 11 * len(title) + 90 * LABELS.index(label) + 50 * (index or 0)
    time = torch.arange(int(seconds * SCALE.rate)) / SCALE.rate
    samples = 0.3 * torch.sin(2 * torch.pi * pitch * time * (1 + time)) * (1 - time / seconds)
    audio = Audio(samples[None], SCALE.rate)
    return Shown(row, label, title, audio, analyse(audio, SCALE), index)
