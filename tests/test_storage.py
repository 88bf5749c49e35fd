"""What a filesystem refuses, and the remedy that fits."""

import errno
import os
from pathlib import Path

import pyarrow.fs
import pytest

from scaling.results.records import Results
from scaling.storage import trouble


def full(folder: Path) -> None:
    os.write(os.open("/dev/full", os.O_WRONLY), b"x")


def taken(folder: Path) -> None:
    (folder / "taken").write_text("in the way")
    (folder / "taken" / "below").mkdir()


def there(folder: Path) -> None:
    (folder / "there").write_text("in the way")
    (folder / "there").mkdir()


def is_folder(folder: Path) -> None:
    folder.open("wb")


def long(folder: Path) -> None:
    (folder / ("x" * 300)).touch()


def absent(folder: Path) -> None:
    (folder / "none" / "x").touch()


def loop(folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    (folder / "loop").read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize(
    ("refused", "reason", "remedy"),
    [
        (full, "No space left on device", "free some space"),
        (taken, "Not a directory", "move the file that is in its way"),
        (there, "File exists", "move the file that is in its way"),
        (is_folder, "Is a directory", "move the folder that is in its way"),
        (long, "File name too long", "give it a shorter path"),
        (absent, "No such file or directory", "check its name"),
        (loop, "Too many levels of symbolic links", "mend the link that leads to itself"),
    ],
)
def test_remedies_fit_their_cause(tmp_path: Path, refused, reason: str, remedy: str):
    """Each from the kernel itself."""
    with pytest.raises(OSError, match=reason) as caught:
        refused(tmp_path)
    assert trouble(caught.value) == (reason, remedy)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EROFS, "make its filesystem writable"),
        (errno.EACCES, "mend its rights"),
        (errno.EDQUOT, "free some of your quota"),
        (errno.EIO, "check the disk"),
        (errno.ENETDOWN, "check its name and your rights to it"),
    ],
)
def test_remedies_of_what_a_test_cannot_make(number: int, remedy: str):
    assert trouble(OSError(number, os.strerror(number))) == (os.strerror(number), remedy)


def test_arrow_s_errors_have_the_same_remedies(tmp_path: Path):
    local = pyarrow.fs.LocalFileSystem()
    (tmp_path / "taken").write_text("in the way")
    with pytest.raises(OSError, match="taken") as caught:
        local.create_dir(f"{tmp_path}/taken/below")
    assert trouble(caught.value).remedy == "move the file that is in its way"
    with pytest.raises(OSError, match="x" * 300) as caught:
        local.open_output_stream(f"{tmp_path}/{'x' * 300}")
    assert trouble(caught.value).remedy == "give it a shorter path"


def test_a_line_says_reason_and_remedy_once(tmp_path: Path):
    (tmp_path / "taken").write_text("in the way")
    results = Results(tmp_path / "taken" / "study")
    line = (
        rf"^results folder {tmp_path}/taken/study cannot be written \(Not a directory\): "
        r"move the file that is in its way, or name another with --out$"
    )
    with pytest.raises(ValueError, match=line):
        results.prepare()
    with pytest.raises(OSError, match=line):
        results.put(b"x", "metrics", "a")


def test_an_error_is_one_bounded_line():
    told = trouble(ValueError("\n  first " + "x" * 10_000 + "\nsecond"))
    assert "\n" not in told.reason
    assert len(told.reason) <= 300
    assert told.reason.startswith("first x")
    assert trouble(ValueError()).reason == "ValueError"
