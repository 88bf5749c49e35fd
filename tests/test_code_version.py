"""The code that planned a launch, in a checkout of a few files."""

import re
import subprocess
from pathlib import Path

import pytest

from scaling.results import code_version as module
from scaling.results.code_version import LARGEST, code_version
from scaling.results.manifest import plan, record
from scaling.results.records import Results


def git(folder: Path, *words: str) -> None:
    own = ["-c", "user.name=n", "-c", "user.email=e@e", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *own, *words], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "house"
    for package in ("overhear", "scaling", "sweeps"):
        (root / package).mkdir(parents=True)
    for name in ("overhear/c.py", "scaling/a.py", "sweeps/b.py", "README.md"):
        (root / name).write_text("one\n")
    git(root, "init")
    git(root, "add", ".")
    git(root, "commit", "-m", "first")
    return root


def test_a_clean_checkout_is_its_commit(checkout: Path):
    (checkout / "README.md").write_text("no code\n")
    (checkout / "mine.py").write_text("a study of one's own\n")
    found = code_version(checkout)
    assert found is not None
    assert re.fullmatch("[0-9a-f]{40}", found.commit)
    assert (found.digest, found.diff) == ("", b"")


def test_changed_and_new_files_are_kept_as_a_diff_that_applies(checkout: Path):
    (checkout / "scaling" / "a.py").write_text("two\n")
    (checkout / "sweeps" / "new.py").write_text("three\n")
    (checkout / "sweeps" / "secret.env").write_text("no code\n")
    found = code_version(checkout)
    assert found is not None
    commit, digest = found.commit.split("+")
    assert (len(commit), digest) == (40, found.digest)
    assert b"secret" not in found.diff
    git(checkout, "stash", "--include-untracked")
    assert not (checkout / "sweeps" / "new.py").exists()
    (checkout.parent / "kept.diff").write_bytes(found.diff)
    git(checkout, "apply", str(checkout.parent / "kept.diff"))
    assert (checkout / "scaling" / "a.py").read_text() == "two\n"
    assert (checkout / "sweeps" / "new.py").read_text() == "three\n"
    assert code_version(checkout) == found


def test_a_long_diff_is_cut_and_says_so(checkout: Path):
    (checkout / "scaling" / "a.py").write_text("x" * (LARGEST + 5))
    found = code_version(checkout)
    assert found is not None
    assert len(found.diff) < LARGEST + 100
    assert found.diff.endswith(b" bytes are kept\n")


def test_outside_of_a_checkout_nothing_is_said(checkout: Path, tmp_path: Path):
    """Also where Overhear is installed below another's checkout."""
    assert code_version(tmp_path) is None
    (checkout / "site" / "scaling").mkdir(parents=True)
    assert code_version(checkout / "site") is None


def test_a_manifest_names_the_diff_beside_it(
    checkout: Path, trial, tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (checkout / "scaling" / "a.py").write_text("two\n")
    found = code_version(checkout)
    assert found is not None
    monkeypatch.setattr("scaling.results.manifest.code_version", lambda: found)
    results = Results(tmp_path / "results")
    results.prepare()
    record(plan("s", [trial], tables), {trial.id: "d"}, results)
    (row,) = results.read("manifest").to_pylist()
    assert row["commit"] == found.commit
    assert results.get("code", f"{row['commit'].split('+')[1]}.diff") == found.diff
    assert module.CODE == ("overhear", "scaling", "sweeps")
