"""Packages that only one feature needs: each is in an extra, and missed in one line."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from scaling import optional
from scaling.sound.transforms import reverb

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DECLARED = PROJECT["optional-dependencies"]


def hide(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """As where they are not installed, which is how Python marks it."""
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)


def test_each_extra_installs_what_it_is_said_to():
    """One entry per import, in pyproject.toml's order; `all` and `dev` have every extra."""
    for extra, modules in optional.EXTRAS.items():
        named = [Requirement(word).name.replace("-skinny", "") for word in DECLARED[extra]]
        assert tuple(named) == modules
        assert not optional.missing(extra), "tests need it: make lock"
    (everything,) = map(Requirement, DECLARED["all"])
    assert everything.extras == {*optional.EXTRAS, "cluster"}
    ours = [Requirement(word) for word in DECLARED["dev"] if word.startswith(PROJECT["name"])]
    assert [each.extras for each in ours] == [{*optional.EXTRAS}]


@pytest.mark.parametrize("extra", optional.EXTRAS)
def test_a_missing_package_is_one_line_that_names_the_extra(
    extra: str, monkeypatch: pytest.MonkeyPatch
):
    name = optional.EXTRAS[extra][0]
    hide(monkeypatch, name)
    with pytest.raises(ValueError, match=rf"^this needs {name}: pip install 'overhear-") as caught:
        optional.need(extra, "this")
    assert str(caught.value).endswith(f"-study[{extra}]'")


def test_rooms_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    hide(monkeypatch, "pyroomacoustics")
    with pytest.raises(ValueError, match=r"^augment\.transform=reverb .* needs pyroom.*: pip"):
        reverb.rooms(8000, 1, cache=tmp_path, progress=False)


def test_commands_run_without_any_of_them(tmp_path: Path):
    """In a process of its own, where none can be imported."""
    hidden = sorted({name for names in optional.EXTRAS.values() for name in names})
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({hidden})); sys.argv[1:] = ['studies'];"
        "from overhear.command import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert not ended.returncode, ended.stderr
    assert "quickstart" in ended.stdout
