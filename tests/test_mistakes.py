"""What is mistyped is refused in one line, before the libraries that take seconds are imported."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from overhear.command import app
from scaling import seeds, typed
from scaling.commands import options
from scaling.results.manifest import plan, record
from scaling.results.records import Results
from scaling.settings.recipes import QUICKSTART
from scaling.sound import datasets
from scaling.spelling import MANY, nearest

WITHOUT_TORCH = """
import io, json, sys, time
from contextlib import redirect_stderr, redirect_stdout


class Refused:
    # lets nobody import torch; scipy would take None in its place for torch

    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise ImportError("torch is imported too early")

sys.meta_path.insert(0, Refused())
from overhear import errors
from overhear.command import app

for words in json.load(sys.stdin):
    said = io.StringIO()
    sys.argv = ["overhear", *words]
    with redirect_stderr(said), redirect_stdout(io.StringIO()):
        code = errors.ran(app, False)
    print(json.dumps([code, said.getvalue()]))
"""
CASES = {
    "choose R --max macs": "write NAME=NUMBER, as --max macs=30e6",
    "choose R --max macs=x": "write NAME=NUMBER, as --max macs=30e6",
    "choose R --preset dcas": "did you mean dcase?",
    "choose R --out R/manifest/t.parquet": "is a file: name a folder",
    "measure R --trial nosuch": "--trial nosuch: no trial of",
    "measure R --study nosuch": "--study nosuch: not planned in",
    "measure R --trial x --all": "--trial and --all both say which trials",
    "measure R --threads 99999": "this machine has",
    "measure R --repeats 99999999": "is not a whole number from 20 to 1,000,000",
    "erf R --trial nosuch": "--trial nosuch: no trial of",
    "erf R --study nosuch": "--study nosuch: not planned in",
    "erf R --kind class": "--kind class needs the class: add --label CLASS",
    "erf R --label dog": "--label dog needs --kind class",
    "erf R --input 9x9": "--input needs --module",
    "erf R --clips 3": "--clips needs --module",
    "erf R --threads 99999": "this machine has",
    "erf --module a:B": "needs the size of its input: add --input ROWSxCOLUMNS",
    "erf --module a:B --input 9": "'9' is not ROWSxCOLUMNS, each from 1 to 999,999",
    "scene --recipe nosuch": "no such recipe (`overhear recipes` lists all",
    "scene network.wdth=3": "did you mean network.width?",
    "scene --device a": "name exactly two devices",
    "scene --group-from (": "--group-from (: not a regular expression",
    "scene --column x=y": "x is not a column (known: path",
    "scene --recipe esc10 --root nowhere": "not found at nowhere",
    "coordinates --widths 8": "name at least two widths, each from 1 to 4,096",
    "coordinates --widths 8,x": "'8,x' is not a list of widths",
    "coordinates --steps 9999": "is not a whole number from 1 to 1,000",
    "coordinates --recipe esc10 --root nowhere": "not found at nowhere",
    "report R --out x.pdf": "does not end in .html",
    "recipes extra": "unexpected extra argument",
    "settings nosuch": "no such setting (they begin with",
    "settings BLANK": "is empty: give it a value",
    "data describe nosuch": "no such dataset (`overhear data list` lists all",
    "data describe esc10 --root nowhere": "not found at nowhere",
    "data describe esc10 --column label": "--column label: write",
    "data check esc1": "did you mean esc10?",
    "data download esc10 --to R/manifest/t.parquet": "is a file: name a folder",
    "claims R --alpha 2": "at most 0.5",
    "status nosuch": "it does not exist",
    "export R --trial nosuch": "--trial nosuch: no trial of",
    "export R --opset 99": "is not a whole number from 18 to 23",
    "export R --int8 --to torch": "only --to onnx has an int8",
    "predict R R --trial nosuch": "--trial nosuch: no trial of",
    "predict R R --top 0": "is not a whole number, 1 or more",
    "predict R R --hop 99": "hop 99 must be from",
    "train --recipe esc1": "did you mean esc10?",
    "train network.width=x": "network.width",
    "train sound.dataset=nosuch": "`overhear data list` lists all",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder of one planned trial, with a file in the place of its weights."""
    results = Results(tmp_path_factory.mktemp("results"))
    results.prepare()
    clips = datasets.scan("synthetic")
    planned = plan("train", [QUICKSTART], {"synthetic": clips.table})
    record(planned, {QUICKSTART.id: "x"}, results)
    (manifest,) = (Path(results.base) / "manifest").glob("*.parquet")
    manifest.rename(manifest.with_name("t.parquet"))
    results.put(memoryview(b"weights"), "weights", f"{QUICKSTART.id}.safetensors")
    return Path(results.base)


def test_mistakes_are_refused_before_torch_is_imported(folder: Path, tmp_path: Path):
    """Each by one line and exit code 2, and nothing is written."""
    words = [
        [w.replace("R/", f"{folder}/").replace("BLANK", "") if w != "R" else str(folder) for w in c]
        for c in map(str.split, CASES)
    ]
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH],
        input=json.dumps(words),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "COLUMNS": "80"},
        check=True,
    )
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(told) == len(CASES)
    for (case, line), (code, said) in zip(CASES.items(), told, strict=True):
        assert (code, said.count("\n")) == (2, 1), (case, said)
        assert line in said, case
    assert not list(tmp_path.iterdir())


def test_an_unknown_word_names_the_nearest_or_the_command_that_lists_all():
    names = [f"name{number}" for number in range(40)]
    assert nearest("nam39", names, "overhear names") == " (did you mean name39?)"
    assert nearest("zzz", names, "overhear names") == " (`overhear names` lists all 40)"
    assert nearest("zzz", names) == f" (known: {', '.join(names[:MANY])} and {40 - MANY} more)"
    assert nearest("zzz", ["", "a", "b"], "overhear names") == " (known: a, b)"


def test_a_place_to_write_to_can_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("")
    assert typed.folder(f"{tmp_path}/new/deep") == f"{tmp_path}/new/deep"
    with pytest.raises(typer.BadParameter, match=r"is a file: name a folder"):
        typed.folder(str(tmp_path / "file"))
    with pytest.raises(typer.BadParameter, match=r"lies below .*file, which is a file"):
        typed.folder(str(tmp_path / "file" / "deep"))


def test_a_gpu_without_a_driver_is_refused(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(options.ctypes, "CDLL", missing)
    monkeypatch.setattr(options.Path, "exists", lambda _: False)
    options.check_driver("cpu")
    with pytest.raises(ValueError, match=r"^--device cuda:9: this machine has no GPU driver"):
        options.check_driver("cuda:9")


def test_help_shows_no_python_types():
    runner = CliRunner()
    for command in ("choose", "erf", "predict", "settings", "scene"):
        said = runner.invoke(app, [command, "--help"], terminal_width=80).output
        assert "<str>" not in said
        assert "list[str]" not in said


def test_streams_of_torch_are_those_of_before():
    """torch is imported late; what is drawn stays."""
    drawn = seeds.torch_stream(1, "a").initial_seed()
    assert drawn == seeds.key(1, "a") % 2**63
