"""The lock files: what they install is what pyproject.toml allows, by hash, from any index."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("dev", "cluster", "lowest")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# .ci/lowest borrows these from the first environment, or needs none of them
BORROWED = {"torch", "torchaudio", "ruff", "mypy", "pandas-stubs", "types-seaborn"}


def text(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.lock").read_text()


def pinned(lock: str, python: str = "3.11.7") -> dict[str, str]:
    """The version of each distribution, on Linux with this Python."""
    machine = {"python_version": python.rpartition(".")[0], "python_full_version": python}
    machine |= {"sys_platform": "linux", "platform_machine": "x86_64", "os_name": "posix"}
    machine |= {"platform_system": "Linux", "implementation_name": "cpython"}
    machine |= {"platform_python_implementation": "CPython"}
    found = {}
    for line in text(lock).splitlines():
        if entry := re.match(r"([\w.-]+)(?:\[[\w,]+\])?==(\S+)(?: ; (.*?))? \\$", line):
            name, version, marker = entry.groups()
            if marker is None or Marker(marker).evaluate(machine):
                assert name not in found
                found[name] = version
    return found


def direct(*extras: str) -> dict[str, Requirement]:
    """What the core and these extras name, by name; an extra may name others of ours."""
    words = [*PROJECT["dependencies"], *(word for extra in extras for word in EXTRAS[extra])]
    named = {canonicalize_name(each.name): each for each in map(Requirement, words)}
    ours = named.pop(PROJECT["name"], None)
    return named | (direct(*ours.extras) if ours else {})


@pytest.mark.parametrize("lock", LOCKS)
def test_every_file_has_its_hash_and_no_host(lock: str):
    entries = re.split(r"\n(?=\S)", text(lock).partition("\n")[2])
    named = [entry for entry in entries if not entry.startswith("#")]
    assert len(named) > 50
    for entry in named:
        assert re.search(r"==\S+( ; .*)? \\\n", entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
    assert "://" not in text(lock)
    assert len(text(lock)) < 2**20


@pytest.mark.parametrize("python", ["3.11.7", "3.12.3", "3.13.1"])
@pytest.mark.parametrize(("lock", "extras"), [("dev", ["dev", "docs"]), ("cluster", ["all"])])
def test_what_is_locked_is_what_is_allowed(lock: str, extras: list[str], python: str):
    found = pinned(lock, python)
    for name, requirement in direct(*extras).items():
        assert found[name] in requirement.specifier, f"{requirement}: make lock"
    assert "setuptools" in found, "it builds the project, without another download"
    assert "overhear" not in found, "a stranger's"


@pytest.mark.parametrize("python", ["3.11.7", "3.12.3"])
def test_clusters_run_what_was_tested(python: str):
    tested, there = pinned("dev", python), pinned("cluster", python)
    both = tested.keys() & there.keys()
    assert len(both) > 60
    assert {name: tested[name] for name in both} == {name: there[name] for name in both}


def test_the_lowest_versions_are_the_lower_bounds():
    """`>=2.2` is 2.2.0, or the first that the index has of it."""
    found = pinned("lowest")
    for name, requirement in direct("dev").items():
        if name in BORROWED:
            assert name not in found
            continue
        bounds = [each.version for each in requirement.specifier if each.operator in (">=", "==")]
        (bound,) = bounds
        assert found[name] in (bound, *(f"{bound}{zeros}" for zeros in (".0", ".0.0"))), requirement


def test_nobody_is_told_to_install_a_stranger():
    """`overhear` on the package index is somebody else's; ours is not there by any name."""
    assert PROJECT["name"] == "overhear-study"
    assert PROJECT["scripts"] == {"overhear": "overhear.command:main"}
    paths = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        ROOT / "docs" / "kuberay.yaml",
        ROOT / "cluster.yaml",
        ROOT / "Makefile",
    ]
    for package in ("scaling", "sweeps", "analysis", "benchmarks"):
        paths += (ROOT / package).rglob("*.py")
    for path in paths:
        if path.name not in (
            "LOG.md",
            "CHANGELOG.md",
        ):  # which tell of the past
            told = re.findall(
                r"pip install[^\n]*?[\s'\"/]overhear(?=[\s'\"\[=<>~])", path.read_text()
            )
            assert all("--editable" in line for line in told), f"{path.name}: {told}"
