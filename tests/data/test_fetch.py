"""`melgpt fetch`: from a server that behaves well or badly to files where training reads them."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import made_corpora as made
from conftest import melgpt
from file_server import FileServer, Served, serving
from melgpt.data import download as downloading
from melgpt.data.fetch import CORPORA, MELS, Wish, fetch, read_md5
from melgpt.errors import UserError

REPOSITORY = Path(__file__).parents[2]
DOG, DRUM = (f"{label}_{MELS}.tar" for label in ("dog", "drum"))


def tar(*names: str, link: str = "") -> bytes:
    """An archive of mels with these member names; `link`: a symbolic link of this name."""
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w") as archive:
        for seed, name in enumerate(names):
            body = io.BytesIO()
            np.save(body, made.mel(seed))
            member = tarfile.TarInfo(name)
            member.size = body.tell()
            body.seek(0)
            archive.addfile(member, body)
        if link:
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc"
            archive.addfile(member)
    return memory.getvalue()


def members(*numbers: int, before: str = f"{MELS}/") -> list[str]:
    return [f"{before}video_{number:05d}_mel.npy" for number in numbers]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Two classes of VAS."""
    monkeypatch.setattr(downloading.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    files = {
        f"/vas/{DOG}": Served(tar(*members(0, 1, 2700))),
        f"/vas/{DRUM}": Served(tar(*members(0), f"{MELS}/._junk")),
    }
    with serving(files) as running:
        yield running


def wish(server: FileServer, folder: Path, **options: object) -> Wish:
    """The server's address and the checksums of what it holds at the moment."""
    sums = folder / "sums.md5"
    lines = (
        f"{hashlib.md5(served.body).hexdigest()}  ./downloaded_features/{Path(path).name}\n"
        for path, served in server.files.items()
    )
    sums.write_text("".join(lines))
    values = {"only": ("dog", "drum"), "base": server.base, "md5": sums, **options}
    return Wish(**values)  # type: ignore[arg-type]


def mels(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*.npy"))}


WANTED = [f"features/dog/{MELS}/video_{number:05d}_mel.npy" for number in (0, 1, 2700)]
WANTED.append(f"features/drum/{MELS}/video_00000_mel.npy")


def test_mels_come_to_where_training_reads_them_and_only_once(server: FileServer, tmp_path: Path) -> None:
    folder = tmp_path / "vas"
    fetch("vas", folder, wish(server, tmp_path))
    assert list(mels(folder)) == WANTED
    assert np.array_equal(np.load(folder / WANTED[1]), made.mel(1))
    assert not list(folder.rglob("*.tar*")) or all(p.suffix == ".done" for p in folder.rglob("*.tar*"))
    asked = len(server.asked)
    fetch("vas", folder, wish(server, tmp_path))
    assert len(server.asked) == asked, "nothing is fetched twice"
    (folder / WANTED[0]).unlink()
    fetch("vas", folder, wish(server, tmp_path))
    assert list(mels(folder)) == WANTED


@pytest.mark.parametrize(
    "before",
    ["", "./", f"dog/{MELS}/", f"features/dog/{MELS}/", f"./downloaded_features/dog/{MELS}/"],
)
def test_every_way_of_packing_is_understood(before: str, server: FileServer, tmp_path: Path) -> None:
    server.files[f"/vas/{DOG}"].body = tar(*members(7, before=before))
    fetch("vas", tmp_path / "vas", wish(server, tmp_path, only=("dog",), keep=True))
    assert list(mels(tmp_path / "vas")) == [f"features/dog/{MELS}/video_00007_mel.npy"]
    assert (tmp_path / "vas" / "downloads" / DOG).is_file(), "keep"


def test_a_broken_connection_goes_on_where_it_stopped(server: FileServer, tmp_path: Path) -> None:
    dog = server.files[f"/vas/{DOG}"]
    dog.breaks = [400_000, 100_000]
    fetch("vas", tmp_path / "vas", wish(server, tmp_path, only=("dog",)))
    assert [wanted for _, wanted in server.asked] == ["", "bytes=400000-", "bytes=500000-"]
    assert list(mels(tmp_path / "vas")) == WANTED[:3]


def test_a_stopped_run_goes_on_where_it_stopped(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files[f"/vas/{DOG}"].breaks = [400_000]
    monkeypatch.setattr(downloading, "TRIES", 1)
    with pytest.raises(UserError, match=f"1 of 1 archives of vas are not here: {DOG}"):
        fetch("vas", tmp_path / "vas", wish(server, tmp_path, only=("dog",)))
    assert not mels(tmp_path / "vas")
    fetch("vas", tmp_path / "vas", wish(server, tmp_path, only=("dog",)))
    assert server.asked[-1][1] == "bytes=400000-"
    assert list(mels(tmp_path / "vas")) == WANTED[:3]


def test_a_server_that_knows_no_ranges_is_asked_from_the_start(server: FileServer, tmp_path: Path) -> None:
    dog = server.files[f"/vas/{DOG}"]
    dog.breaks, dog.ranges = [400_000], False
    fetch("vas", tmp_path / "vas", wish(server, tmp_path, only=("dog",)))
    assert list(mels(tmp_path / "vas")) == WANTED[:3]


@pytest.mark.parametrize("length", [100_000, 5_000_000, 0])
def test_what_an_earlier_run_left_of_another_file_is_replaced(
    length: int, server: FileServer, tmp_path: Path
) -> None:
    part = tmp_path / "vas" / "downloads" / f"{DOG}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * length)
    fetch("vas", tmp_path / "vas", wish(server, tmp_path, only=("dog",)))
    assert list(mels(tmp_path / "vas")) == WANTED[:3]


def test_a_whole_part_is_only_checked(server: FileServer, tmp_path: Path) -> None:
    part = tmp_path / "vas" / "downloads" / f"{DOG}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(server.files[f"/vas/{DOG}"].body)
    fetch("vas", tmp_path / "vas", wish(server, tmp_path, only=("dog",)))
    assert len(server.asked) == 1
    assert list(mels(tmp_path / "vas")) == WANTED[:3]


def test_two_runs_do_not_write_into_one_file(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fcntl = pytest.importorskip("fcntl")
    part = tmp_path / "vas" / "downloads" / f"{DOG}.part"
    part.parent.mkdir(parents=True)
    with open(part, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match=DOG):
            fetch("vas", tmp_path / "vas", wish(server, tmp_path, only=("dog",)))
    assert "another fetch is at work" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_web_page_in_the_place_of_a_file_is_refused(
    kind: str, server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = wish(server, tmp_path)
    server.files[f"/vas/{DOG}"] = Served(b"\n<!DOCTYPE html><html>Sorry</html>", kind=kind)
    with pytest.raises(UserError, match=f"1 of 2 archives of vas are not here: {DOG}"):
        fetch("vas", tmp_path / "vas", wanted)
    assert "answered with a web page" in capsys.readouterr().err
    assert list(mels(tmp_path / "vas")) == WANTED[3:], "the others are fetched all the same"
    assert not list((tmp_path / "vas" / "downloads").glob("*.part"))


def test_another_file_is_refused_by_its_checksum(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = wish(server, tmp_path)
    server.files[f"/vas/{DOG}"].body = tar(*members(1))
    server.files[f"/vas/{DRUM}"].body = b"no archive at all" * 100
    with pytest.raises(UserError, match=f"2 of 2 archives of vas are not here: {DOG}, {DRUM}"):
        fetch("vas", tmp_path / "vas", wanted)
    said = capsys.readouterr().err
    assert "holds another file: its md5 is" in said
    assert "holds no .tar file" in said
    assert not list((tmp_path / "vas").rglob("*.npy"))
    assert not list((tmp_path / "vas").rglob("*.part"))


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(server: FileServer, tmp_path: Path) -> None:
    server.files[f"/vas/{DOG}"].failures = [503, 429]
    fetch("vas", tmp_path / "vas", wish(server, tmp_path, only=("dog",)))
    assert len(server.asked) == 3
    wanted = wish(server, tmp_path, only=("drum",))
    del server.files[f"/vas/{DRUM}"]
    with pytest.raises(UserError, match=DRUM):
        fetch("vas", tmp_path / "vas", wanted)
    assert len(server.asked) == 4


def test_no_server_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: FileServer) -> None:
    monkeypatch.setattr(downloading, "TRIES", 2)
    with pytest.raises(UserError, match="not here"):
        fetch("vas", tmp_path / "vas", wish(server, tmp_path, only=("dog",), base="http://127.0.0.1:9"))


@pytest.mark.parametrize(
    "archive",
    [
        tar(*members(0), "../../outside.npy"),
        tar(*members(0), "/outside.npy"),
        tar(*members(0), "C:\\outside.npy"),
        tar(*members(0), link=f"{MELS}/link"),
        tar(*members(0), f"cat/{MELS}/video_00000_mel.npy"),
        tar(),
    ],
)
def test_archives_that_lead_elsewhere_are_not_unpacked(
    archive: bytes, server: FileServer, tmp_path: Path
) -> None:
    server.files[f"/vas/{DOG}"].body = archive
    with pytest.raises(UserError, match="not here"):
        fetch("vas", tmp_path / "a" / "b" / "vas", wish(server, tmp_path, only=("dog",)))
    assert not list(tmp_path.rglob("*.npy"))
    assert not list(tmp_path.rglob("*unpacking"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_in_one_line(server: FileServer, tmp_path: Path) -> None:
    part = tmp_path / "vas" / "downloads" / f"{DOG}.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    wanted = wish(server, tmp_path)
    done = melgpt(
        "fetch", "vas", tmp_path / "vas", "--only", "dog", "--base", server.base, "--md5", wanted.md5
    )
    assert done.returncode == 2
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr


def test_parts_of_vggsound_lie_in_one_folder(server: FileServer, tmp_path: Path) -> None:
    for number in ("01", "64"):
        body = tar(f"{MELS}/id{number}_0_10000_mel.npy")
        server.files[f"/vggsound/{MELS}_{number}.tar"] = Served(body)
    fetch("vggsound", tmp_path / "vgg", wish(server, tmp_path, only=("01", "64")))
    assert list(mels(tmp_path / "vgg")) == [f"{MELS}/id{n}_0_10000_mel.npy" for n in ("01", "64")]


def test_features_of_the_videos_are_fetched_where_they_are_wanted(server: FileServer, tmp_path: Path) -> None:
    kinds = ["feature_rgb_bninception_dim1024_21.5fps", "feature_flow_bninception_dim1024_21.5fps"]
    for kind in (*kinds, "feature_resnet50_dim2048_21.5fps"):
        server.files[f"/vas/dog_{kind}.tar"] = Served(tar(f"{kind}/video_00000.pkl"))
    fetch("vas", tmp_path / "vas", wish(server, tmp_path, only=("dog",), visual=True))
    for kind in kinds:
        assert (tmp_path / "vas" / "features" / "dog" / kind / "video_00000.pkl").is_file()


def esc_zip(folder: Path, *, meta: bool = True) -> bytes:
    made.esc50(folder)
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            if meta or path.suffix != ".csv":
                archive.write(path, f"ESC-50-master/{path.relative_to(folder).as_posix()}")
    return memory.getvalue()


def test_esc50_comes_without_the_folder_around_it(server: FileServer, tmp_path: Path) -> None:
    body = esc_zip(tmp_path / "made")
    server.files["/archive/master.zip"] = Served(body, says_length=False, ranges=False)
    fetch("esc50", tmp_path / "esc", Wish(base=server.base))
    assert (tmp_path / "esc" / "meta" / "esc50.csv").is_file()
    assert len(list((tmp_path / "esc" / "audio").glob("*.wav"))) == 15
    fetch("esc50", tmp_path / "esc", Wish(base=server.base))
    assert len(server.asked) == 1


def test_a_zip_that_is_not_whole_or_not_esc50_is_refused(
    server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, other = esc_zip(tmp_path / "made"), esc_zip(tmp_path / "other", meta=False)
    for body, words in ((whole[: len(whole) // 2], "is damaged"), (other, "does not hold meta/esc50.csv")):
        server.files["/archive/master.zip"] = Served(body)
        with pytest.raises(UserError, match=r"ESC-50-master\.zip"):
            fetch("esc50", tmp_path / "esc", Wish(base=server.base))
        assert words in capsys.readouterr().err
        assert not list((tmp_path / "esc").rglob("*.*"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["vaz"], "did you mean 'vas'"),
        (["vas", "--only", "dgo"], "did you mean 'dog'"),
        (["esc50", "--only", "esc10"], "data.only=esc10"),
        (["esc50", "--features"], "no visual features"),
        (["vas", "--md5", "nowhere.md5"], "nowhere.md5"),
    ],
)
def test_mistakes_are_named_before_anything_is_fetched(
    words: list[str], message: str, tmp_path: Path
) -> None:
    done = melgpt("fetch", words[0], tmp_path / "x", *words[1:], "--base", "http://127.0.0.1:9")
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "x").exists()


def test_the_published_checksums_are_of_all_archives() -> None:
    for name, known in (("vas", 32), ("vggsound", 256)):
        corpus = CORPORA[name]
        names = {archive.name for archive in corpus.archives(corpus.pieces, True)}
        assert names == set(read_md5(corpus.md5))
        assert len(names) == known


def test_the_scripts_pass_the_exit_code_on_and_need_no_torch(server: FileServer, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / "melgpt").symlink_to(REPOSITORY / "melgpt")
    (clone / "data").mkdir()
    for script in (REPOSITORY / "data").glob("*.sh"):
        (clone / "data" / script.name).write_bytes(script.read_bytes())
    (tmp_path / "torch.py").write_text("raise ImportError('fetch must not need torch')\n")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(tmp_path), "MELGPT_FETCH_BASE": server.base}
    wanted = wish(server, tmp_path)

    def script(*words: str | Path) -> subprocess.CompletedProcess[str]:
        command = ["bash", "./download_vas_features.sh", *map(str, words), "--md5", str(wanted.md5)]
        return subprocess.run(
            command, cwd=clone / "data", env=environment, capture_output=True, text=True, check=False
        )

    done = script("--only", "dog")
    assert done.returncode == 0, done.stderr
    assert list(mels(clone / "data" / "vas")) == WANTED[:3]
    assert script("--only", "cat").returncode == 2
