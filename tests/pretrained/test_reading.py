"""Files of strangers are read without running what they hold."""

import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from melgpt.errors import UserError
from melgpt.pretrained import convert, convert_state
from melgpt.pretrained.reading import melgan_settings, read_content, state_of

WITNESS = "was_run"


class Callback:
    """Of a program that is long gone."""

    def __init__(self, path: str) -> None:
        self.path = path


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_objects_of_old_programs_become_inert(tmp_path: Path, zipped: bool) -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    content = {
        "state_dict": {"a.weight": weight, "b": torch.ones(2, dtype=torch.float16)},
        "callbacks": {Callback: {"best": Callback("x")}},
        "hyper": Bomb(tmp_path / WITNESS),
        "epoch": 3,
    }
    torch.save(content, tmp_path / "old.ckpt", _use_new_zipfile_serialization=zipped)
    read = read_content(tmp_path / "old.ckpt")
    assert not (tmp_path / WITNESS).exists(), "nothing in the file was run"
    assert torch.equal(read["state_dict"]["a.weight"], weight)
    assert read["state_dict"]["b"].dtype == torch.float16
    assert read["epoch"] == 3


def test_a_pickle_that_is_no_torch_file_is_refused_unrun(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(pickle.dumps(Bomb(tmp_path / WITNESS)))
    with pytest.raises(UserError, match="not a torch file"):
        read_content(tmp_path / "a.pt")
    assert not (tmp_path / WITNESS).exists()


def test_missing_and_damaged_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_content(tmp_path / "none.ckpt")
    torch.save({"a": torch.rand(1000)}, tmp_path / "a.pt")
    whole = (tmp_path / "a.pt").read_bytes()
    (tmp_path / "a.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="damaged"):
        read_content(tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "b.pt", "w") as archive:
        archive.writestr("hello", "world")
    with pytest.raises(UserError, match="damaged"):
        read_content(tmp_path / "b.pt")


def test_a_state_dict_is_found_where_the_originals_put_it() -> None:
    state = {"w": torch.ones(1)}
    assert state_of(state, "x").keys() == state.keys()
    assert state_of({"state_dict": state, "epoch": 1}, "x").keys() == state.keys()
    assert state_of({"model": state, "loss": 0.1}, "x").keys() == state.keys()
    for content in (3, {}, {"epoch": 1}, [state]):
        with pytest.raises(UserError, match="x holds no"):
            state_of(content, "x")


def test_melgans_settings_are_read_as_text(tmp_path: Path) -> None:
    text = "!!python/object:argparse.Namespace\nn_mel_channels: 80\nngf: 32\nn_residual_layers: 3\n"
    (tmp_path / "args.yml").write_text(text)
    assert melgan_settings(tmp_path / "args.yml") == {"n_mel_channels": 80, "ngf": 32, "n_residual_layers": 3}
    (tmp_path / "args.yml").write_text("ngf: 32\n")
    with pytest.raises(UserError, match="n_mel_channels"):
        melgan_settings(tmp_path / "args.yml")


def test_a_state_of_no_kind_names_the_kinds() -> None:
    with pytest.raises(UserError, match=r"codec.*its keys begin with foo"):
        convert_state({"foo": torch.ones(1)})
    with pytest.raises(UserError, match="did you mean 'codec'"):
        convert_state({"foo": torch.ones(1)}, kind="codek")


def test_a_folder_without_a_generator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"best_netG\.pt"):
        convert(tmp_path)
