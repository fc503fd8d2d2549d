"""An original's file → our parts: what it is is told by its keys, how large by its shapes."""

from pathlib import Path

from melgpt.errors import UserError, closest
from melgpt.pretrained.imported import Asked, Imported, State
from melgpt.pretrained.kinds import KINDS, recognise
from melgpt.pretrained.reading import melgan_settings, read_content, state_of

MELGAN_WEIGHTS, MELGAN_SETTINGS = "best_netG.pt", "args.yml"


def convert(source: Path | str, kind: str = "auto", asked: Asked | None = None) -> Imported:
    """The parts in a file of the originals (a folder: MelGAN's, with best_netG.pt and args.yml).

    kind: one of KINDS, where the keys shall not decide. Raises UserError for a file that is missing, damaged
    or of no known kind, for a key that its kind does not have, and for what must be asked and was not.
    """
    source = Path(source)
    if source.is_dir():
        return _melgan_folder(source, asked)
    return convert_state(state_of(read_content(source), str(source)), kind, asked, str(source))


def convert_state(
    state: State, kind: str = "auto", asked: Asked | None = None, where: str = "it"
) -> Imported:
    """The same from a state dict. where: its name in errors."""
    if kind == "auto":
        if "first_stage_model._encoder.conv_in.weight" in state and any(
            "transformer." in key for key in state
        ):
            # Lit_minGPT's own file also holds the codec that it listened through.
            state = {key: tensor for key, tensor in state.items() if not key.startswith("first_stage_model.")}
        kind = recognise(state, where)
    if kind not in KINDS:
        raise UserError(f"unknown kind '{kind}'{closest(kind, list(KINDS))}")
    try:
        return KINDS[kind].build(state, asked or Asked())
    except UserError:
        raise
    except (
        KeyError,
        IndexError,
        ValueError,
        RuntimeError,
        StopIteration,
        AttributeError,
        TypeError,
    ) as error:
        what = " ".join(str(error).split())[:200]
        raise UserError(f"{where} is not a whole {kind} of the originals: {what}") from None


def _melgan_folder(folder: Path, asked: Asked | None) -> Imported:
    weights, settings = folder / MELGAN_WEIGHTS, folder / MELGAN_SETTINGS
    if not weights.is_file():
        raise UserError(f"{folder} is no MelGAN folder of the originals: it has no {MELGAN_WEIGHTS}")
    imported = convert_state(state_of(read_content(weights), str(weights)), "melgan", asked, str(weights))
    if settings.is_file():
        config, told = imported["vocoder"].config, melgan_settings(settings)
        found = {
            "n_mel_channels": config.mel.n_mels,
            "ngf": config.ngf,
            "n_residual_layers": config.residual_blocks,
        }
        if told != found:
            raise UserError(
                f"{settings} says {told}, the weights beside it are {found}: they do not belong together"
            )
    return imported
