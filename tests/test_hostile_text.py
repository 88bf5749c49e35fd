"""What users write never steers a terminal, a figure or the name of a file."""

import os
import pty
import re
import subprocess
import sys
import unicodedata
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from test_analysis_table import complete, end, plan, results, trial
from test_main import main

from analysis.data import Data
from analysis.figures import field_panels, fonts
from analysis.figures.registry import FIGURES
from scaling.results.records import Results
from scaling.settings import Trial, changed

__all__ = ["results"]  # the fixture
HOSTILE = "a\x1b[2J\x1b]0;owned\x07\x9b31m\u202eb\u2066\rc\x08\x7f[red][/nonsense]$x_1$"
FORBIDDEN = set("\x1b\x07\x9b\u202e\u2066\r\x08\x7f\x00")


def hostile(results: Results) -> list[Trial]:
    """Trials told apart by names of classes and microphones that a terminal would obey."""
    trials = [
        trial(sound__classes=(HOSTILE, "b")),
        trial(sound__classes=("b", "[/red]")),
        trial(microphones__train=(HOSTILE.replace("/", ""), "犬🐕"), microphones__share=0.5),
    ]
    trials.append(changed(trials[0], {"seed": 1}))
    complete(
        results,
        {
            each: {"seen": [0.1, 0.2, k / 10], "unseen": [0.1, 0.2, 0.3]}
            for k, each in enumerate(trials)
        },
    )
    failed = trial(seed=9)
    plan(results, "later", [failed], hours=1)
    end(results, failed, "failed", f"OSError: {HOSTILE}\n[/bold] second line")
    return trials


@pytest.mark.parametrize(
    "words",
    [["analyze"], ["analyze", "--json"], ["analyze", "--differences", "--json"], ["status"],
     ["status", "--json"], ["analyze", "--format", "svg"]],
)  # fmt: skip
def test_labels_and_errors_reach_no_terminal_as_they_are(
    results: Results,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hostile(results)
    command, *options = words
    code, out, err = main([command, results.where, *options], monkeypatch, capsys)
    assert code == 0, err
    assert not FORBIDDEN & set(out + err)
    assert "red]" in out, "brackets are no markup"
    assert "Glyph" not in err
    for file in Path(results.path("figures")).glob("*.svg"):
        assert not FORBIDDEN & set(file.read_text())


def test_on_a_real_terminal_only_rich_writes_sequences(results: Results, tmp_path: Path) -> None:
    """Through a pseudo terminal, with colours on: no sequence of a user's arrives."""
    hostile(results)
    ours, theirs = pty.openpty()
    command = [
        sys.executable,
        "-c",
        "import overhear.command; overhear.command.main()",
        "status",
        results.where,
    ]
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "80"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as run:
        os.close(theirs)
        said = b""
        while part := _read(ours):
            said += part
    os.close(ours)
    assert run.returncode == 0
    text = said.decode()
    rest = re.sub(r"\x1b\[[\d;]*m|\r\n", "", text)
    assert b"\x1b[" in said, "rich does colour its table"
    assert not FORBIDDEN & set(rest)
    assert "\x1b[31m" not in text.replace("\x1b[31m\x1b", "")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # its other side has been closed
        return b""


@pytest.mark.parametrize("word", [HOSTILE, "x\n" * 50, "\x1b[31m", "[/]", "-", "x" * 10**5])
@pytest.mark.parametrize("option", ["", "--study", "--figure", "--format", "--unknown"])
def test_what_is_typed_comes_back_in_one_harmless_line(
    word: str,
    option: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["analyze", word] if not option else ["analyze", "nowhere", option, word]
    code, out, err = main(words, monkeypatch, capsys)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("overhear: ")
    assert len(err) < 2500
    assert not FORBIDDEN & set(err)


def test_labels_are_no_markup_for_those_who_plan(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    study = tmp_path / "mine.py"
    study.write_text(
        "from scaling.settings import changed\nfrom scaling.settings.recipes import QUICKSTART\n"
        "QUESTION, SOURCE = 'q', 's'\n"
        "def trials():\n"
        "    for name in ('dog_bark', '[/x]\\x1b[2J'):\n"
        "        yield changed(QUICKSTART, {'network.width': 4, 'microphones.train': name,"
        " 'microphones.share': 0.5})\n"
    )
    words = ["sweep", str(study), "--dry-run", "--speed", "5", "--out", str(tmp_path / "r")]
    code, out, err = main(words, monkeypatch, capsys)
    assert code in (0, 2), err  # a microphone that is not there may be found while planning
    assert not FORBIDDEN & set(out + err)


def ink(figure: matplotlib.figure.Figure) -> list[str]:
    """All texts of a figure that are not numbers of an axis."""
    found = figure.findobj(matplotlib.text.Text)
    return [t.get_text() for t in found if t.get_text()]  # type: ignore[attr-defined]


def test_dollars_in_labels_are_dollars(results: Results, tmp_path: Path) -> None:
    """As math, `$x_1$` loses its dollars and `$\\frac$` cannot be drawn at all."""
    trials = [trial(sound__classes=("$x_1$", "b")), trial(sound__classes=(r"$\frac$", "b"))]
    complete(results, {each: {"seen": [0.1, 0.2, 0.3]} for each in trials})
    data = Data(results)
    figure = FIGURES["accuracy_vs_parameters"].draw(FIGURES["accuracy_vs_parameters"].points(data))
    fonts.fit(figure)
    figure.savefig(tmp_path / "f.svg")
    assert any("$x_1$" in text for text in ink(figure))
    assert any(r"$\frac$" in text for text in ink(figure))


def test_letters_that_the_default_font_lacks_are_drawn_or_named_once(tmp_path: Path) -> None:
    figure = matplotlib.figure.Figure()
    rare = "\U00013080"  # an Egyptian hieroglyph, in few fonts
    for place, label in enumerate(("dog", f"犬{rare}", rare)):
        figure.text(0.1, 0.1 * place, label)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fonts.fit(figure)
        with fonts.without_glyph_warnings():
            figure.savefig(tmp_path / "f.png")
    installed = [
        font.fname
        for font in matplotlib.font_manager.fontManager.ttflist
        if not font.name.startswith(fonts.LAST_RESORT)
    ]
    known = set().union(*(matplotlib.font_manager.get_font(f).get_charmap() for f in installed))
    missing = [letter for letter in (rare, "犬") if ord(letter) not in known]
    lines = [str(w.message) for w in caught]
    assert len(lines) == bool(missing)
    for letter in missing:
        assert f"{letter} (U+{ord(letter):04X})" in lines[0]


@pytest.mark.parametrize(
    "label",
    ["../../../etc/x", "a/b", "$x$", "two\nlines", "x" * 300, "-rf", "🐕", "犬", "a b", HOSTILE],
)
def test_maps_of_a_class_of_any_name_stay_in_their_folder(
    results: Results,
    label: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from analysis.commands.fields import draw_fields
    from analysis.commands.options import Format

    one = trial()
    complete(results, {one: {"seen": [0.1, 0.2, 0.3]}})
    values = np.ones((8, 9), np.float32)
    numbers = dict.fromkeys(field_panels.NUMBERS, 3.0)
    row = {
        **numbers, **dict.fromkeys(("f50", "t50", "f95", "t95"), 3),
        "trial": one.id, "epoch": 3, "split": "unseen", "kind": f"class {label}", "clips": 4,
        "rows": 8, "columns": 9, "values": values.ravel(), "row": 4.0, "column": 4.0, "inside": 1.0,
    }  # fmt: skip
    results.write("maps", one.id, [row])
    before = {path for path in Path(results.path()).parent.rglob("*") if path.is_file()}
    draw_fields(results.where, [one.id], "unseen", f"class {label}", None, Format.PNG)
    after = {path for path in Path(results.path()).parent.rglob("*") if path.is_file()}
    written = {path.relative_to(results.path("figures")).as_posix() for path in after - before}
    assert len(written) == 3
    for name in written:
        assert "/" not in name
        assert name.startswith("effective_field-class-")
        assert all(unicodedata.category(letter)[0] != "C" for letter in name)
    capsys.readouterr()


def test_texts_in_csv_are_quoted_and_come_back(results: Results) -> None:
    from analysis import files

    texts = ["a,b", 'say "x"', "two\nlines", "犬", "=1+1", "-rf"]
    where = Path(results.path("t.csv"))
    where.parent.mkdir(parents=True, exist_ok=True)
    files.write_csv(pd.DataFrame({"label": texts}), where)
    assert pd.read_csv(where)["label"].tolist() == texts
