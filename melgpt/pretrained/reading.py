"""The originals' files, read without running anything that they hold.

torch's own safe loader reads most of them. Files of Lightning 1.2 also name classes of programs that are long
gone; they go through an unpickler that puts inert stand-ins in the place of every class but tensors'.
"""

import pickle
import re
import types
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from melgpt.errors import UserError

_ALLOWED = {
    ("collections", "OrderedDict"),
    ("torch", "Size"),
    ("torch", "device"),
    ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
}
_DTYPES = {name for name in dir(torch) if isinstance(getattr(torch, name), torch.dtype)}
_STATES = ("state_dict", "model")
"""Names under which the originals' files hold their weights: Lightning's, and that of their classifiers."""
_SETTING = re.compile(r"^\s*(n_mel_channels|ngf|n_residual_layers):\s*(\d+)\s*$", re.MULTILINE)


class Inert:
    """Stands for an object of a class that is not loaded: it takes everything and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __call__(self, *args: Any, **kwargs: Any) -> "Inert":
        return self

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, value: Any) -> None: ...

    def extend(self, values: Any) -> None: ...


class _InertUnpickler(pickle.Unpickler):
    """Builds tensors and plain containers; whatever else a file names becomes a stand-in."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED or (module == "torch" and name in _DTYPES):
            return super().find_class(module, name)
        return type(name, (Inert,), {"__module__": module})


def _load(file: Any, **options: Any) -> Any:
    return _InertUnpickler(file, **options).load()


_PICKLE = types.SimpleNamespace(Unpickler=_InertUnpickler, load=_load, __name__="inert_pickle")
"""What torch.load asks of a pickle module."""


def read_content(path: Path) -> Any:
    """Whatever a torch file holds, tensors on the CPU.

    Raises UserError for a file that is missing, or that torch did not write.
    """
    if not path.is_file():
        raise UserError(f"no such file: {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it refuses anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        pass  # it names classes that the safe loader refuses: once more, with stand-ins
    except Exception as error:
        raise _not_torch(path, error) from None
    try:
        # Not the safe loader, which has refused the file, yet nothing is run: _PICKLE builds stand-ins.
        inert: Any = {"weights_only": False, "pickle_module": _PICKLE}  # files of Lightning 1.2 need it
        return torch.load(path, map_location="cpu", **inert)
    except Exception as error:  # a damaged file makes an unpickler raise anything
        raise _not_torch(path, error) from None


def _not_torch(path: Path, error: Exception) -> UserError:
    first = next(iter(str(error).splitlines()), type(error).__name__)
    what = "is damaged" if zipfile.is_zipfile(path) else "is not a torch file, or damaged"
    return UserError(f"{path} {what}: {first}")


def state_of(content: Any, where: str) -> dict[str, Tensor]:
    """The state dict in a file's content: the content itself, or what it holds as `state_dict` or `model`.

    Raises UserError where there is none.
    """
    for name in _STATES:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
            break
    if not isinstance(content, dict) or not content:
        raise UserError(f"{where} holds no weights: a state dict was expected, alone or as 'state_dict'")
    if not all(isinstance(key, str) for key in content):
        raise UserError(f"{where} holds no state dict: its keys are no names")
    odd = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if odd:
        raise UserError(f"{where} holds no state dict: '{odd[0]}' is a {type(content[odd[0]]).__name__}")
    return dict(content)


def melgan_settings(path: Path) -> dict[str, int]:
    """n_mel_channels, ngf and n_residual_layers in MelGAN's args.yml.

    The file is a pickled Python object written as YAML, which a YAML reader would have to run: the three
    numbers are taken from its text. Raises UserError where one is missing.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    found = {name: int(number) for name, number in _SETTING.findall(text)}
    if missing := {"n_mel_channels", "ngf", "n_residual_layers"} - set(found):
        raise UserError(f"{path} lacks {', '.join(sorted(missing))}: it is not MelGAN's args.yml")
    return found
