"""From one sound file to its clips' mels and what is wrong with them: the work that runs in parallel."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from melgpt.audio.io import AudioError, Finding, TruncatedAudioError
from melgpt.audio.mel import analyse
from melgpt.data import audit
from melgpt.data.audit import AuditRow
from melgpt.data.band import edges_of
from melgpt.data.band_energy import Shares, energy_shares
from melgpt.data.config import DataConfig
from melgpt.data.cutting import Clip, TooShortError, clips_of
from melgpt.data.duplicates import signature
from melgpt.data.level import gain_for
from melgpt.data.silence import is_loud, peak_db
from melgpt.types import Audio, MelScale


@dataclass(frozen=True)
class Piece:
    """One clip that can be used: `seconds` from `start` on."""

    start: float
    seconds: float
    mel: NDArray[np.float16]
    """[N, F] in [0, 1], time first."""
    digest: bytes
    """Of the decoded samples: equal for exact duplicates."""
    signature: NDArray[np.float32]
    """See `duplicates.signature`."""
    band: Shares | None = None
    """Where its energy lies, between `band.edges_of` the scale, [edges + 1]; None for a finished mel."""


@dataclass(frozen=True)
class Pieces:
    """All that came out of one file."""

    pieces: list[Piece] = field(default_factory=list)
    findings: list[AuditRow] = field(default_factory=list)
    outside: list[Shares] = field(default_factory=list)
    """Where the energy of each clip lies that was left out because none of it lies in the mel's band."""


def cut(folder: Path, path: str, config: DataConfig, scale: MelScale) -> Pieces:
    """Decode one file, cut it into clips and analyse them; a file that cannot be used gives findings only."""
    whole = folder / path
    try:
        first, peak = _pieces(whole, path, config, scale, 1.0)
        if (gain := gain_for(peak)) == 1:
            return first
        finding = _loud(path, peak, gain)
        if gain == 0:
            return Pieces(findings=[finding])
        # Only now the peak of the whole file is known: once more, so that its clips keep their levels.
        scaled, _ = _pieces(whole, path, config, scale, gain)
        return replace(scaled, findings=[finding, *scaled.findings])
    except TooShortError as error:
        return _nothing(path, audit.TOO_SHORT, str(error))
    except TruncatedAudioError as error:
        return _nothing(path, audit.TRUNCATED, _reason(error, whole))
    except FileNotFoundError:
        return _nothing(path, audit.MISSING, "the file was deleted while it was being read")
    except AudioError as error:
        return _nothing(path, audit.UNREADABLE, _reason(error, whole))
    except OSError as error:
        return _nothing(path, audit.UNREADABLE, error.strerror or str(error))


def _pieces(whole: Path, path: str, config: DataConfig, scale: MelScale, gain: float) -> tuple[Pieces, float]:
    """The clips of a file times `gain`, and its peak. Of a file that is too loud there are findings only."""
    result, found, peak = Pieces(), list[Finding](), 0.0
    for clip in clips_of(whole, config, scale, gain=gain, findings=found):
        peak = max(peak, float(clip.original.max(initial=0.0)), -float(clip.original.min(initial=0.0)))
        if gain_for(peak) != 1:
            continue
        findings = _findings(clip, path, config)
        piece = None
        if all(finding.action == audit.KEPT for finding in findings):
            piece = _piece(clip, scale)
            if not piece.mel.any():
                detail = "all of it lies below the mel's floor or outside of its band"
                findings = [AuditRow(path, clip.start, audit.SILENT, "left out", detail)]
                result.outside.extend([] if piece.band is None else [piece.band])
                piece = None
        result.findings.extend(findings)
        result.pieces.extend([piece] if piece else [])
    result.findings.extend(AuditRow(path, 0.0, finding.reason, "kept", finding.detail) for finding in found)
    return result, peak


def _findings(clip: Clip, path: str, config: DataConfig) -> list[AuditRow]:
    """What is wrong with one clip."""
    if not is_loud(clip.original, clip.rate, 10 ** (config.silence_db / 20)):
        detail = f"peak {peak_db(clip.original, clip.rate):.1f} dB, silent below {config.silence_db} dB"
        return [AuditRow(path, clip.start, audit.SILENT, "left out", detail)]
    share = audit.clipped_share(clip.original)
    if share > config.clipped_fraction:
        return [AuditRow(path, clip.start, audit.CLIPPED, "kept", f"{share:.1%} of the samples in flat tops")]
    return []


def _loud(path: str, peak: float, gain: float) -> AuditRow:
    """The finding of a file whose peak lies far above full scale."""
    detail = f"peak {20 * np.log10(peak):.1f} dB above full scale ({peak:.4g} where 1 is full)"
    if gain == 0:
        return AuditRow(path, 0.0, audit.TOO_LOUD, "left out", f"{detail}: scale its samples to -1 ... 1")
    return AuditRow(path, 0.0, audit.TOO_LOUD, "kept", f"{detail}: scaled down to full scale")


def _piece(clip: Clip, scale: MelScale) -> Piece:
    samples = clip.samples
    values = analyse(Audio(torch.from_numpy(samples).unsqueeze(0), scale.rate), scale).values
    mel = np.ascontiguousarray(values[0].T.numpy().astype(np.float16))  # time first
    digest = hashlib.sha256(samples.tobytes()).digest()
    band = energy_shares(clip.original, clip.rate, edges_of(scale))
    return Piece(clip.start, len(samples) / scale.rate, mel, digest, signature(mel, scale), band)


def _nothing(path: str, reason: str, detail: str) -> Pieces:
    return Pieces(findings=[AuditRow(path, 0.0, reason, "left out", detail)])


def _reason(error: Exception, whole: Path) -> str:
    """The message of a sound error without the path that stands in a column of its own."""
    return str(error).removeprefix(f"{whole}: ")
