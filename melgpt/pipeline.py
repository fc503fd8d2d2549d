"""The picture of the program as code: sound → mel → codes → tokens, and all the way back.

`SoundModel` encodes, decodes, generates and interpolates; a result is a `Sound`. `model_folder` opens one.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional as F

from melgpt.audio.audio import Audio
from melgpt.audio.ends import audible_frames, with_headroom
from melgpt.audio.given import Sounds, as_audio
from melgpt.audio.io import fade_out
from melgpt.audio.sound import Sound
from melgpt.checks import seconds_above_0, whole
from melgpt.codec.codec import Codec
from melgpt.decoders.base import MelDecoder
from melgpt.decoders.pieces import Noise, refine_whole
from melgpt.errors import UserError
from melgpt.gpt.order import fill_up, flatten, unflatten
from melgpt.gpt.prior import Prior
from melgpt.gpt.sampling import Sampling, random_streams
from melgpt.gpt.steering import Steering, takes_label
from melgpt.gpt.vae import GPTVAE
from melgpt.how import asked, made_by
from melgpt.recoding import Recoder
from melgpt.runtime import RuntimeConfig
from melgpt.streaming import LongSound
from melgpt.types import Codes, Mel
from melgpt.vocoders.base import Vocoder

BATCH = 16
"""Clips that are written at the same time."""
MOST_SECONDS = 600
"""Longest sound that is held as a whole, with its mel and codes; see `SoundModel.stream` for longer ones."""


class SoundModel(Recoder):
    """A codec, a vocoder and, where they were trained, a prior and a VAE that belong together."""

    def __init__(
        self,
        codec: Codec,
        vocoder: Vocoder,
        prior: Prior | None,
        vae: GPTVAE | None = None,
        decoder: MelDecoder | None = None,
        *,
        fingerprints: dict[str, str],
        runtime: RuntimeConfig | None = None,
    ) -> None:
        """decoder: None where the codec's mels are heard as they are; fingerprints: that of each part.

        Raises UserError where the parts do not fit each other.
        """
        runtime = RuntimeConfig() if runtime is None else runtime
        super().__init__(codec, vocoder, decoder, fingerprints, runtime)
        for writer in (part.config for part in (prior, vae) if part is not None):
            if (writer.codebook, writer.rows) != (codec.codebook_size, codec.config.rows):
                raise UserError(
                    f"the {writer.kind} writes {writer.rows} rows of {writer.codebook} codes, the codec "
                    f"reads {codec.config.rows} rows of {codec.codebook_size}: they were not trained together"
                )
        self.prior, self.vae = prior, vae
        self.device = self.runtime.place(
            [part for part in (codec, vocoder, self.decoder, prior, vae) if part is not None]
        )
        self.runtime.compile_all([codec.decoder, vocoder])

    def __repr__(self) -> str:
        parts = ("codec", "decoder", "vocoder", "prior", "vae")
        names = [name for name in parts if name in self.fingerprints]
        return f"<SoundModel of {', '.join(names)}; labels {list(self.labels)}>"

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes that can be asked for; none where a video alone steers the model."""
        return () if self.prior is None or not takes_label(self.prior) else self.prior.config.labels

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raises UserError for the first label that is not known."""
        for label in labels:
            self._prior().label_index(label)

    def labels_in(self, text: str) -> list[str]:
        """Classes that a text such as `rain,dog_bark` names; see `Prior.labels_in`."""
        return self._prior().labels_in(text)

    def sampling(self, **options: float) -> Sampling:
        """These options for the prior, with the guidance that suits it where none is given."""
        suited = {} if self.prior is None else {"guidance": self.prior.guidance}
        return Sampling.checked({**suited, **options})

    @property
    def max_seconds(self) -> float:
        """Longest sound that the prior writes in one go; longer ones are written in a window that slides."""
        return self._longest(self._prior())

    @torch.inference_mode()
    def generate(
        self,
        *,
        label: str | Sequence[str] | None = None,
        features: torch.Tensor | None = None,
        n: int = 1,
        seconds: float | None = None,
        seed: int = 0,
        takes: int = 1,
        **sampling: float,
    ) -> list[Sound]:
        """New sounds of a class, or for a video, or for a video with a class, as the model was trained.

        label: one of `model.labels`, or a list of some; features: [L, D] of a video, see
        data.features.read_joined. n: sounds of each class (1). seconds: length of each sound; by default each
        is as long as the model makes it. Up to the model's own length (`max_seconds`) one that ends earlier
        by itself is followed by silence; beyond it no sound ends before its time. seed: the same seed and
        options give the same sounds (0); sound i of a class depends on seed and i, not on n. takes: so many
        sounds of the same codes, which differ in detail, one after the other (1).

        sampling, each with its default:
        temperature (1): below 1 more usual, above more daring, 0 the likeliest code each time;
        top_k (0): only the k most likely codes, 0 for all;
        top_p (1): only the likeliest codes that together have this probability, lower is tamer;
        min_p (0): only codes at least this many times as likely as the likeliest, higher is tamer;
        guidance (4, or 1 for a model that was never trained without its class): higher is more typical of
        the class and less varied.

        Raises UserError for an unknown label and for what the model cannot be steered by.
        """
        n, seed, takes = whole("n", n, 1), whole("seed", seed, 0), self._takes(takes)
        several = isinstance(label, list | tuple)
        if several and not label:
            raise UserError(f"label is an empty list; known: {', '.join(self.labels)}")
        labels: Sequence[Any] = label if several and label is not None else [label]
        self.check_labels([one for one in labels if one is not None])
        steerings = [Steering.of(self._prior(), one, features) for one in labels]
        return [
            sound
            for steering in steerings
            for sound in self._generate(steering, n=n, seconds=seconds, seed=seed, takes=takes, **sampling)
        ]

    @torch.inference_mode()
    def _generate(
        self,
        steering: Steering,
        *,
        n: int,
        seconds: float | None,
        seed: int,
        takes: int,
        **sampling: float,
    ) -> list[Sound]:
        options = self.sampling(**sampling)
        columns = self._columns(self._prior(), seconds)
        request = asked(steering, options, seed, seconds)
        sounds: list[Sound] = []
        for first in range(0, n, BATCH):
            streams = random_streams(seed, min(BATCH, n - first), first)
            grids = [grid.cpu() for grid in steering.write(columns, options, streams)]
            for i, (grid, stream) in enumerate(zip(grids, streams, strict=True), first):
                how = {**request, "index": i}
                sounds += [
                    self._sound(grid, stream, seconds, how, columns=columns, take=take)
                    for take in range(takes)
                ]
        return sounds

    def stream(
        self,
        *,
        label: str | None = None,
        features: torch.Tensor | None = None,
        seconds: float,
        seed: int = 0,
        index: int = 0,
        take: int = 0,
        **sampling: float,
    ) -> LongSound:
        """A sound of any length that is made while it is read, in constant memory: iterating gives its Audio.

        label: one of `model.labels`. It is sound `index` of a seed, and take `take` of that, does not end
        before its time, and is decoded in overlapping pieces; otherwise like `generate`.
        """
        take = whole("take", take, 0)
        seconds, seed, index = seconds_above_0(seconds), whole("seed", seed, 0), whole("index", index, 0)
        steering, options = Steering.of(self._prior(), label, features), self.sampling(**sampling)
        how = {**asked(steering, options, seed, seconds), "index": index, **self._take(take)}
        how |= {"streamed": True, **self._made_by()}
        return LongSound(self, steering, options, seconds=seconds, seed=seed, index=index, take=take, how=how)

    @torch.inference_mode()
    def generate_from_vae(
        self, *, n: int = 1, seconds: float | None = None, seed: int = 0, **sampling: float
    ) -> list[Sound]:
        """n new sounds of any kind, at places that the VAE draws; otherwise like `generate`."""
        n, seed, options = whole("n", n, 1), whole("seed", seed, 0), Sampling.checked(sampling)
        self._columns(self._vae(), seconds)
        streams = random_streams(seed, n)
        z = self._vae().draw_new(streams)
        hows = [{"label": "vae", "seed": seed, "index": i} for i in range(n)]
        return self._at(z, options, streams, [seconds] * n, hows)

    @torch.inference_mode()
    def interpolate(
        self, first: Sounds, last: Sounds, *, steps: int = 5, seed: int = 0, **sampling: float
    ) -> list[Sound]:
        """Sounds at equal steps on the straight line between two sounds in the VAE's space, with both ends.

        first, last: each an Audio or the path of a file. Their lengths go from the first one's to the last
        one's, up to the VAE's longest. The likeliest code is taken each time (temperature 0), unless
        `sampling` says otherwise; seed: of that and of the vocoder. Raises UserError for less than two steps.
        """
        if whole("steps", steps, 0) < 2:
            raise UserError(f"steps counts both ends and must be at least 2, not {steps}")
        seed, options = whole("seed", seed, 0), Sampling.checked({"temperature": 0.0, **sampling})
        ends = [as_audio(sound) for sound in (first, last)]
        vae, silence = self._vae(), self.codec.silent_column()
        # No more than the VAE reads of it.
        heard = [Audio(a.samples[..., : math.ceil(self._longest(vae) * a.rate)], a.rate) for a in ends]
        tokens = [flatten(self.encode(audio).grid.to(self.device))[0] for audio in heard]
        places, _ = vae.encode(torch.stack([fill_up(row, silence, vae.length) for row in tokens]))
        begin, end = (min(audio.seconds, self._longest(vae)) for audio in ends)
        shares = [i / (steps - 1) for i in range(steps)]
        return self._at(
            torch.stack([places[0].lerp(places[1], share) for share in shares]),
            options,
            random_streams(seed, steps),
            [begin + share * (end - begin) for share in shares],
            [{"label": f"{s:.0%}", "share": s, "seed": seed, "index": i} for i, s in enumerate(shares)],
        )

    def _at(
        self,
        z: torch.Tensor,
        options: Sampling,
        streams: Sequence[torch.Generator],
        seconds: Sequence[float | None],
        hows: Sequence[dict[str, Any]],
    ) -> list[Sound]:
        """The sounds at places z [B, C] of the VAE's space."""
        vae, sounds = self._vae(), []
        for first in range(0, len(z), BATCH):
            part = slice(first, first + BATCH)
            grids = unflatten(vae.write(z[part], options, streams[part]), vae.config.rows).cpu()
            rows = zip(grids, streams[part], seconds[part], hows[part], strict=True)
            for grid, stream, length, how in rows:
                how = {**how, "source": "vae", "seconds": length, "sampling": options.plain()}
                sounds.append(self._sound(grid[None], stream, length, how, columns=vae.config.columns))
        return sounds

    def _sound(
        self,
        grid: torch.Tensor,
        stream: torch.Generator,
        seconds: float | None,
        how: dict[str, Any],
        *,
        columns: int,
        take: int = 0,
    ) -> Sound:
        """columns: as many as were asked for; with fewer, the sound ended by itself."""
        codes = Codes(grid, self.codec.codebook_size, self.fingerprints["codec"])
        mel, scale = self._mel(codes, stream.initial_seed(), take), self.codec.scale
        if grid.shape[-1] < columns:
            # The prior ended it with this column: the last frame that can be heard says where in it.
            frames = max(audible_frames(mel.values, scale), mel.values.shape[-1] - self._column_frames + 1)
            mel, codes = Mel(mel.values[..., :frames], scale), replace(codes, frames=frames)
        ended = mel.values.shape[-1] / scale.frames_per_second
        if seconds is not None:
            frames = math.ceil(seconds * scale.rate / scale.hop)
            mel = Mel(F.pad(mel.values[..., :frames], (0, max(0, frames - mel.values.shape[-1]))), scale)
        # Each take is heard with the same phases.
        phases = torch.Generator()
        phases.set_state(stream.get_state())
        audio = self._synthesise(mel, phases)
        if seconds is not None:
            audio = Audio(audio.samples[..., : round(seconds * scale.rate)], audio.rate)
            ended = min(ended, seconds)
        if codes.grid.shape[-1] == columns or ended == seconds:
            audio = fade_out(audio)
        audio = with_headroom(audio)
        how = {**how, **self._take(take), "ended_at_seconds": round(ended, 3), **self._made_by()}
        return Sound(audio, mel, codes, how)

    def _made_by(self) -> dict[str, Any]:
        return made_by(self.fingerprints, self.runtime, self.device)

    def _mel(self, codes: Codes, seed: int, take: int) -> Mel:
        frames, _ = self._check(codes)
        noise = Noise.of_take([seed], take, self.codec.scale.n_mels)
        values = refine_whole(self.codec, self.decoder, codes.grid.to(self.device), noise).cpu()
        return Mel(values[..., :frames], self.codec.scale)

    def _takes(self, takes: int) -> int:
        if whole("takes", takes, 1) > 1 and not self.decoder.draws:
            raise UserError(
                f"takes={takes}: this model has no decoder that draws detail, so all takes are equal"
            )
        return takes

    def _take(self, take: int) -> dict[str, int]:
        """The take, where it decides something."""
        return {"take": take} if self.decoder.draws else {}

    def _synthesise(self, mel: Mel, stream: torch.Generator | None) -> Audio:
        return Audio(self.vocoder(mel.values.to(self.device), generator=stream).cpu(), mel.scale.rate)

    def _longest(self, writer: Prior | GPTVAE) -> float:
        return writer.config.columns * self._column_frames / self.codec.scale.frames_per_second

    def _columns(self, writer: Prior | GPTVAE, seconds: float | None) -> int:
        if seconds is None:
            return writer.config.columns
        seconds = seconds_above_0(seconds)
        if isinstance(writer, GPTVAE):
            longest, hint = self._longest(writer), "the VAE writes no more, the prior does"
        else:
            longest, hint = MOST_SECONDS, "`stream` makes longer ones"
        if seconds > longest + 1e-6:
            raise UserError(f"seconds must be at most {longest:.2f} (given: {seconds:g}); {hint}")
        return max(1, math.ceil(seconds * self.codec.scale.frames_per_second / self._column_frames - 1e-6))

    def _prior(self) -> Prior:
        if self.prior is None:
            raise UserError(
                "this model folder has no prior.safetensors: it can encode and decode, not generate"
            )
        return self.prior

    def _vae(self) -> GPTVAE:
        if self.vae is None:
            raise UserError("this model folder has no vae.safetensors: make it with `melgpt train vae`")
        return self.vae
