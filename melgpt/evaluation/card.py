"""The model card: what a model folder is, what it was made from, and its measured figures."""

from pathlib import Path
from typing import Any

from melgpt.paths import atomic

_SECONDS = "seconds"
_VOCODER = {
    "whole_band": "vocoder: distance of spectra",
    "in_band": "vocoder: distance of spectra in the mel's band",
    "envelope_correlation": "vocoder: correlation of envelopes",
    "envelope_in_band": "vocoder: correlation of envelopes in the mel's band",
}
"""Each against the real sound."""
MEL_L1 = 0.3, 0.5, 0.7
"""Shares of the mean mel's L1 up to which the codec's is good, up to which usual, and from which on bad."""
PERPLEXITY = 0.2, 0.1
"""Shares of the codes from which on their perplexity is good, and below which it is bad."""
BITS = 0.6, 0.9, 0.97
"""Shares of the best table's bits up to which the prior's are good, up to which usual, from which on bad."""


def write_card(
    path: Path, *, labels: tuple[str, ...], clips: int, figures: dict[str, Any], folder: str
) -> None:
    """Write README.md of a model folder (Markdown)."""
    classes = ", ".join(labels)
    text = f"""# A MelGPT model

Learnt from {clips} clips in {len(labels)} classes: {classes}.

    melgpt generate {folder} --label "{labels[0]}" -n 8 --out new/

## Measured

{table(figures)}
Mel L1 is the mean difference of the codec's mels from the real ones; perplexity is how many codes, equally
used, would be as varied; bits a token is what the prior cannot predict of each code. Good, usual and bad
follow from the baselines in the table.

The data and its split are described in `data/`, every option in `recipe.toml`. Whether the sounds that it
makes may be used is decided by the licence of the sounds that it was made from.
"""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def table(figures: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    codec, prior = figures.get("codec", {}), figures.get("prior", {})
    rows: list[tuple[str, ...]] = []
    if codec:
        mean = codec["mean_mel_l1"]
        rows += [
            ("codec: validation mel L1 ([0, 1] units)", f"{codec['mel_l1']:.4f}", _low(MEL_L1, mean, 3)),
            ("baseline: the mean mel", f"{codec['mean_mel_l1']:.4f}"),
            ("codes used on validation", f"{codec['codes_used']:.0f} of {codec['codes']:.0f}"),
            ("perplexity of the codes", f"{codec['perplexity']:.0f}", _high(codec["codes"])),
            ("bits a second", f"{codec['bits_per_second']:.0f}"),
        ]
    if decoder := figures.get("decoder"):
        rows += [
            ("decoder: validation mel L1", f"{decoder['mel_l1']:.4f}"),
            ("decoder: detail as a share of the real mels' (1 is right)", f"{decoder['detail']:.2f}"),
            ("the same of the codec alone", f"{decoder['codec_detail']:.2f}"),
        ]
    if vocoder := figures.get("vocoder"):
        for name, words in _VOCODER.items():
            rows.append((words, f"{vocoder[name]:.3f}"))
            rows.append((f"{words}, Griffin-Lim", f"{vocoder[f'griffin_lim_{name}']:.3f}"))
    if prior:
        best = min(prior["class_row_table_bits"], prior["row_table_bits"])
        rows += [
            ("prior: validation bits a token", f"{prior['bits_per_token']:.3f}", _low(BITS, best, 1)),
            ("baseline: table by class and row", f"{prior['class_row_table_bits']:.3f}"),
            ("baseline: table by row", f"{prior['row_table_bits']:.3f}"),
            ("prior told a wrong class", f"{prior['wrong_class_bits']:.3f}"),
        ]
        if "wrong_video_bits" in prior:
            rows.append(("prior shown another clip's video", f"{prior['wrong_video_bits']:.3f}"))
    if vae := figures.get("vae"):
        rows += [
            ("VAE: validation bits a token, told z", f"{vae['bits_per_token']:.3f}"),
            ("baseline: told another clip's z", f"{vae['other_z_bits']:.3f}"),
            ("its bound on the bits a token, not told z", f"{vae['bound_bits_per_token']:.3f}"),
            ("nats a clip in z (KL)", f"{vae['kl']:.1f}"),
            ("active units of z", f"{vae['active_units']:.0f} of {vae['units']:.0f}"),
        ]
    rows += [(f"seconds: {stage}", f"{seconds:.0f}") for stage, seconds in figures.get(_SECONDS, {}).items()]
    if figures.get("peak_memory_gib"):
        rows.append(("peak memory in GiB", f"{figures['peak_memory_gib']:.2f}"))
    lines = "\n".join(f"| {' | '.join((*row, '')[:3])} |" for row in rows)
    return f"| figure | value | good, usual, bad |\n| --- | --- | --- |\n{lines}\n"


def _low(shares: tuple[float, float, float], baseline: float, places: int) -> str:
    """How a figure is read that should be low beside its baseline."""
    good, usual, bad = (f"{share * baseline:.{places}f}" for share in shares)
    return f"good up to {good}, usual up to {usual}, bad from {bad} on"


def _high(codes: float) -> str:
    """How the perplexity of so many codes is read."""
    good, bad = (f"{share * codes:.0f}" for share in PERPLEXITY)
    return f"good from {good} on, usual from {bad} on, bad below"
