"""The one command as a process: one line for whatever goes wrong, and an exit code that says what.

What a command raises is raised here by a command of the test's own, in the real `main`.
"""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from overhear import command

PROCESS = [sys.executable, "-c", "from overhear.command import main; main()"]


def main(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["overhear", *words])
    with pytest.raises(SystemExit) as ended:
        command.main()
    said = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, said.out, said.err


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch):
    """Makes `overhear studies` do something else."""

    def make(act) -> None:
        monkeypatch.setattr("sweeps.study.shipped", act)

    return make


def deep(level: int = 0) -> int:
    return deep(level + 1) + 1


def fail(error: BaseException):
    def act() -> None:
        raise error

    return act


FAULTS = {
    "KeyError": (fail(KeyError("x")), "KeyError: 'x'"),
    "AssertionError": (fail(AssertionError("a\nb\x1b[2J")), r"AssertionError: a b\x1b[2J"),
    "no words": (fail(ZeroDivisionError()), "ZeroDivisionError: "),
    "recursion": (deep, "RecursionError: maximum recursion depth"),
    "a long one": (fail(RuntimeError("x" * 10**6)), "RuntimeError: xxx"),
}


@pytest.mark.parametrize(("act", "said"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_ours_is_one_line_that_says_so(act, said, raising, monkeypatch, capsys):
    raising(act)
    code, out, err = main(["studies"], monkeypatch, capsys)
    assert (code, out) == (70, "")
    assert err.startswith(f"overhear: this is a fault of Overhear ({said}")
    assert "--debug" in err
    assert err.count("\n") == 1
    assert len(err) < 600


def test_debug_shows_its_traceback_but_no_sequence(tmp_path):
    words = ["--debug", "data", "describe", "nowhere\x1b[2J"]
    ended = subprocess.run([*PROCESS, *words], capture_output=True, cwd=tmp_path, check=False)
    assert ended.returncode == 1
    assert b"Traceback" in ended.stderr
    assert b"no such dataset" in ended.stderr
    assert b"\x1b" not in ended.stderr


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ValueError("two\nlines"), 2, "two lines"),
        (ValueError(), 2, "ValueError"),
        (OSError(28, "No space left on device"), 2, "No space left"),
        (MemoryError(), 2, "this machine has too little memory"),
        (MemoryError("9 TiB"), 2, "(9 TiB)"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_fault_of_ours(error, code, said, raising, monkeypatch, capsys):
    raising(fail(error))
    found, out, err = main(["studies"], monkeypatch, capsys)
    assert (found, out) == (code, "")
    assert said in err
    assert "fault of Overhear" not in err
    assert err.count("\n") == 1


MISTAKES = {
    "unknown option": ["status", "--nonsense", "x"],
    "missing argument": ["analyze"],
    "missing value": ["train", "--out"],
    "one too many": ["studies", "x"],
    "unknown command": ["stauts"],
    "unknown sub-command": ["data", "chekc"],
    "wrong type": ["train", "--threads", "two"],
    "empty number": ["train", "--threads", ""],
    "below the bound": ["sweep", "quickstart", "--cpus-per-trial", "0"],
    "negative": ["analyze", "x", "--last", "-1"],
    "no such format": ["analyze", "x", "--format", "bmp"],
    "empty results": ["status", ""],
    "blank results": ["analyze", "  "],
    "empty out of train": ["train", "--out", ""],
    "empty out of analyze": ["analyze", "x", "--out", ""],
    "empty out of erf": ["erf", "x", "--out", " "],
    "NUL in results": ["status", "a\0b"],
    "NUL in out": ["analyze", "x", "--out", "a\0b"],
    "NUL in a study": ["analyze", "x", "--study", "a\0b"],
    "NUL in a setting": ["train", "network.width=\0"],
    "no such kind": ["erf", "x", "--kind", "x"],
    "label without class": ["erf", "x", "--label", "dog"],
    "class without label": ["erf", "x", "--kind", "class"],
    "no such device": ["train", "--device", ""],
    "no such recipe": ["train", "--recipe", ""],
    "a bad URI": ["status", "s3://"],
    "no such scheme": ["status", "gopher://x"],
    "a long name": ["status", "x" * 5000],
}


@pytest.mark.parametrize("words", MISTAKES.values(), ids=MISTAKES)
def test_every_mistake_is_one_line_and_leaves_nothing(words, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, err = main(words, monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert err.startswith("overhear: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_debug_is_a_switch_before_two_dashes_and_a_word_behind_them(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, _, err = main(["status", "--", "--debug"], monkeypatch, capsys)
    assert code == 2
    assert err.startswith("overhear: RESULTS --debug is not a results folder")
    for words in (["--debug", "settings", "x"], ["settings", "x", "--debug"]):
        monkeypatch.setattr(sys, "argv", ["overhear", *words])
        with pytest.raises(ValueError, match="x: no such setting"):
            command.main()


def test_warnings_of_libraries_are_not_ours(raising, monkeypatch, capsys):
    import numpy as np

    def act() -> list[object]:
        warnings.warn("ours,\nonce", stacklevel=1)
        warnings.warn("ours,\nonce", stacklevel=1)
        exec("import warnings; warnings.warn('soon gone', FutureWarning)", {"__name__": "pandas"})
        exec("import warnings; warnings.warn('look here')", {"__name__": "numpy.core"})
        np.mean(np.zeros(0))
        return []

    act.__globals__["__name__"] = "analysis.test"
    try:
        raising(act)
        code, _, err = main(["studies"], monkeypatch, capsys)
    finally:
        act.__globals__["__name__"] = __name__
    assert code == 0
    assert err.splitlines()[:2] == [
        "overhear: warning: ours, once",
        "overhear: warning of numpy: look here",
    ]
    assert "soon gone" not in err


def test_a_reader_that_leaves_is_no_error():
    """As `overhear studies | head -1`, with its output in one piece and in many."""
    for words in (["studies"], ["--help"]):
        with subprocess.Popen(
            [*PROCESS, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as run:
            assert run.stdout
            assert run.stderr
            run.stdout.close()
            assert run.stderr.read() == b""
            assert run.wait(60) == 141


def test_a_sweep_says_something_before_it_imports_what_takes_seconds(tmp_path: Path):
    script = (
        "import sys\n"
        "class Slow:\n    def find_spec(self, name, *_):\n"
        "        if name in ('ray', 'torch', 'pandas'):\n"
        "            sys.exit(f'{name} is imported')\n"
        "sys.meta_path.insert(0, Slow())\n"
        "import overhear.command\n"
        f"sys.argv = ['overhear', 'sweep', 'quickstart', '--out', {str(tmp_path / 'r')!r}]\n"
        "overhear.command.main()"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    first, second = ended.stderr.splitlines()
    assert first == "planning the study"
    assert second.endswith(" is imported")
    assert not ended.stdout


def test_ctrl_c_is_calm():
    script = (
        "import time, overhear.command, sweeps.study\n"
        "def wait():\n    print('now', flush=True)\n    time.sleep(60)\n"
        "sweeps.study.shipped = wait\noverhear.command.main()"
    )
    command = [sys.executable, "-c", script, "studies"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout
        assert run.stderr
        run.stdout.readline()
        begun = time.monotonic()
        os.kill(run.pid, signal.SIGINT)
        assert run.wait(30) == 130
        assert time.monotonic() - begun < 10
        assert run.stderr.read() == b""
