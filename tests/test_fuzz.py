"""Hostile inputs, a sample of them drawn from a seed: see tests/fuzz.py, which draws any number."""

import json
import subprocess
import sys
from pathlib import Path

import fuzz
import pytest

SEED, EACH = 20261127, 6  # inputs of each area; LOG.md counts what a thousand did


@pytest.fixture(scope="module")
def outcome() -> dict:
    words = ["--inputs", str(EACH * len(fuzz.AREAS)), "--seed", str(SEED), "--json"]
    line = [sys.executable, fuzz.__file__, *words]
    done = subprocess.run(line, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("area", fuzz.AREAS)
def test_hostile_inputs_end_well(outcome: dict, area: str):
    assert sum(outcome["counts"][area].values()) == EACH
    found = [each for each in outcome["found"] if each["area"] == area]
    assert not found, "\n".join(f"{e['what']}: {e['input']}\n{e['said']}" for e in found)


def _ended(where: Path, code: str) -> str:
    where.mkdir(exist_ok=True)
    return fuzz.fault(fuzz.attempt(lambda: exec(code, {}), where))


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("1/0", "traceback"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("import sys; sys.exit(70)", "exit code 70"),
        ("import sys; sys.exit(2)", "0 lines say what is wrong"),
        ("import sys; print('overhear: a', file=sys.stderr); sys.exit(2)", ""),
        ("import sys; print('overhear: a\\noverhear: b', file=sys.stderr); sys.exit(2)", "2 lines"),
        ("print('s3://key:hunter2@bucket')", "secret"),
        ("print('\\x1b[31m')", "control character"),
        ("import sys; print('x' * 9999, file=sys.stderr)", "a line of 9999 characters"),
    ],
)
def test_the_judge_sees_each_kind_of_fault(tmp_path: Path, code: str, what: str):
    found = _ended(tmp_path / "x", code)
    assert what in found if what else not found


def test_the_judge_sees_a_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fuzz, "HANG", 1)
    assert _ended(tmp_path / "x", "import time; time.sleep(30)") == "hangs"


def test_the_judge_sees_memory_without_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fuzz, "MEMORY", 2**20)
    assert "of memory" in _ended(tmp_path / "x", "b'x' * (2**30 + 2**27)")
