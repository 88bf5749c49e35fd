import sys
import textwrap
from pathlib import Path

import pytest

from overhear.command import main
from scaling.settings import Trial, changed
from scaling.settings.label import LONGEST, trial_labels
from sweeps import study_file
from sweeps.study import Study, distinct, find, product, repeats, shipped, trials_of


def test_product_is_every_combination_last_fastest(trial: Trial):
    found = list(product(trial, network__width=(4, 8), seed=(0, 1, 2)))
    assert [(t.network.width, t.seed) for t in found] == [(w, s) for w in (4, 8) for s in (0, 1, 2)]


def test_repeats_replace_seeds(trial: Trial):
    found = list(repeats(product(trial, network__width=(4, 8), seed=(5, 6)), 3))
    assert [(t.network.width, t.seed) for t in found] == [(w, s) for w in (4, 8) for s in (0, 1, 2)]


def test_equal_trials_collapse(trial: Trial):
    assert list(distinct([trial, changed(trial, {"seed": 9}), trial])) == [
        trial,
        changed(trial, {"seed": 9}),
    ]


@pytest.mark.parametrize("study", shipped(), ids=lambda study: study.name)
def test_shipped_studies_hold_together(study):
    """One contract for every file below sweeps/studies."""
    trials = trials_of(study, {})
    assert len({t.id for t in trials}) == len(trials) > 0
    assert study.question.endswith("?")
    assert study.source
    assert [t.id for t in trials_of(find(study.name), {})] == [t.id for t in trials]
    assert [changed(t, {}).id for t in trials] == [t.id for t in trials], "as a launch changes them"
    labels = set(trial_labels(trials).values())
    assert len(labels) == len(trials)
    assert max(map(len, labels)) <= LONGEST


def test_quickstart_and_esc10_width_are_what_they_say():
    quick = trials_of(find("quickstart"), {})
    assert len({(t.network.width, t.network.damping, t.seed) for t in quick}) == len(quick) == 12
    width = trials_of(find("esc10_width"), {})
    assert sorted((t.network.width, t.split.fold) for t in width) == [
        (w, f) for w in (8, 16, 32) for f in (1, 2, 3, 4, 5)
    ]


def write(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(textwrap.dedent(text))
    return str(path)


MINE = """
from scaling.settings.recipes import QUICKSTART
from sweeps import study_file
from sweeps.study import product
QUESTION = "Does it work?"
SOURCE = "me"
def trials():
    yield from product(QUICKSTART, network__width=(2, 3))
"""


def test_a_file_of_ones_own(tmp_path: Path):
    study = find(write(tmp_path, MINE))
    assert study.name == "mine"
    assert [t.network.width for t in trials_of(study, {})] == [2, 3]
    assert [t.training.epochs for t in trials_of(study, {"training.epochs": "7"})] == [7, 7]
    assert [t.seed for t in trials_of(study, {}, 2)] == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "import nothing_there",
            r"mine.py does not import: ModuleNotFoundError: .*nothing_there.*line 1",
        ),
        ("x = 1\ny = x +\n", r"mine.py does not import: SyntaxError: .*line 2"),
        ("x = 1\n\nundefined_name\n", r"does not import: NameError: .*undefined_name.*line 3"),
        ("QUESTION = 'q?'", "study mine: a study states QUESTION and SOURCE"),
        (MINE.replace("(2, 3)", "(0,)"), r"trials\(\) raised ValueError: network.width=0"),
        (MINE.replace("product(", "list("), r"trials\(\) raised TypeError"),
        (
            MINE.replace("yield from product(QUICKSTART, network__width=(2, 3))", "yield 3"),
            "yields 3, not a Trial",
        ),
        (MINE.replace("(2, 3)", "()"), r"trials\(\) yields none"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, text: str, line: str):
    with pytest.raises(ValueError, match=line) as caught:
        trials_of(find(write(tmp_path, text)), {})
    assert "\n" not in str(caught.value)


BODY = "yield from product(QUICKSTART, network__width=(2, 3))"
BAD = {
    "exit while importing": ("import sys\nsys.exit(0)\n" + MINE, r"calls sys\.exit \(line 2\)"),
    "exit in trials()": (MINE.replace(BODY, "raise SystemExit"), r"trials\(\) calls sys\.exit"),
    "interrupt": (MINE.replace(BODY, "raise KeyboardInterrupt"), "raised KeyboardInterrupt"),
    "recursion": (MINE.replace(BODY, "yield from trials()"), "raised RecursionError: "),
    "no trials at all": (
        MINE.replace(BODY, "return None"),
        r"trials\(\) returns None: it must yie",
    ),
    "many lines": (
        MINE.replace(BODY, "raise ValueError('a\\n\\x1b[31mb' * 9**6)"),
        "ValueError: a ",
    ),
    "a bad error": (
        MINE.replace(BODY, "raise type('Bad', (Exception,), {'__str__': lambda self: 1 / 0})"),
        "raised Bad",
    ),
    "a bad value": (
        MINE.replace(BODY, "yield type('Bad', (), {'__repr__': lambda self: 1 / 0})()"),
        "yields a Bad, not a Trial",
    ),
    "no end, with trials": (
        "import itertools\n"
        + MINE.replace("(2, 3)", "(2, 3)) or itertools.repeat(QUICKSTART").replace(
            "product(QUICKSTART, network__width=(2, 3)) or ", ""
        ),
        r"trials\(\) yields more than 1,000 trials: split it$",
    ),
    "no end, with nothing": (
        MINE.replace(BODY, "while True: pass"),
        "has not ended after 0.3 s: do",
    ),
    "no end, whatever comes": (
        MINE.replace(
            BODY,
            "\n".join(["while True:", "  try:", "   1", "  except Exception:", "   0"]).replace(
                "\n", "\n    "
            ),
        ),
        "has not ended after 0.3 s: does it loop",
    ),
    "no end while importing": (
        "while True: pass",
        r"mine\.py has not ended after 0.3 s: does it l",
    ),
    "null bytes": ("x = '\0'", "does not import: SyntaxError: "),
    "deep": ("x = " + "(" * 9000, "does not import: "),
    "a space of nothing": (
        "QUESTION = SOURCE = '?'\nSPACE = {3: 4}\nSAMPLES = 3",
        "study mine: BASE",
    ),
}


@pytest.mark.parametrize(("text", "line"), BAD.values(), ids=BAD)
def test_whatever_a_study_does_is_one_short_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, line: str
):
    monkeypatch.setattr(study_file, "SECONDS", 0.3)
    monkeypatch.setattr(study_file, "TRIALS", 1000)
    with pytest.raises(ValueError, match=line) as caught:
        trials_of(find(write(tmp_path, text)), {})
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
    assert str(tmp_path.resolve()) not in sys.path


@pytest.mark.parametrize(
    "name", ["...py", ".py", ".hidden.py", "a\nb.py", "x" * 101 + ".py", "a:b.py"]
)
def test_a_study_is_named_like_a_folder(tmp_path: Path, name: str):
    (tmp_path / "below").mkdir()
    path = tmp_path / "below" / name
    path.write_text(MINE)
    with pytest.raises(ValueError, match=r"and its results folder too: rename the file") as caught:
        find(str(path))
    assert str(caught.value).isprintable()


def test_names_that_people_give(tmp_path: Path):
    for name in ("json", "My Study (2)", "größe", "a.b", "x-1"):
        (tmp_path / f"{name}.py").write_text(MINE)
        assert find(str(tmp_path / f"{name}.py")).name == name


def test_a_nearly_right_file_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path, MINE)
    with pytest.raises(ValueError, match=r"nime\.py: no such file \(did you mean mine\.py\?\)$"):
        find(str(tmp_path / "nime.py"))
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(ValueError, match="not a file"):
        find(str(tmp_path / "folder.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^study mine: .*\(did you mean mine\.py\?\); "):
        find("mine")


def test_a_helper_beside_a_study_is_found(tmp_path: Path):
    """While importing and while its trials are listed; the platform's own packages win."""
    (tmp_path / "widths_of_mine.py").write_text("WIDTHS = (2, 3)")
    (tmp_path / "epochs_of_mine.py").write_text("EPOCHS = 7")
    (tmp_path / "scaling.py").write_text("raise RuntimeError('not this one')")
    text = MINE.replace("QUESTION", "from widths_of_mine import WIDTHS\nQUESTION").replace(
        "    yield", "    from epochs_of_mine import EPOCHS\n    yield"
    )
    text = text.replace("network__width=(2, 3)", "network__width=WIDTHS, training__epochs=[EPOCHS]")
    before = list(sys.path)
    trials = trials_of(find(write(tmp_path, text)), {})
    assert [(t.network.width, t.training.epochs) for t in trials] == [(2, 7), (3, 7)]
    assert sys.path == before


def test_dataclasses_of_a_study_find_their_module(tmp_path: Path):
    text = "from __future__ import annotations\nimport dataclasses\n" + MINE
    text += "\n@dataclasses.dataclass\nclass Mine:\n    x: int = 1\n"
    assert len(trials_of(find(write(tmp_path, text)), {})) == 2


def test_what_a_study_prints_is_no_part_of_what_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    text = "print('importing')\n" + MINE.replace("    yield", "    print('x' * 10**6)\n    yield")
    out = str(tmp_path / "r")
    overhear_main("sweep", write(tmp_path, text), "--dry-run", "--speed=1", "--json", "--out", out)
    said = capsys.readouterr()
    assert [line[0] for line in said.out.splitlines()] == ["{", "{"]
    assert said.err.startswith("importing\nxxx")
    assert "overhear: the study prints more, which is left out" in said.err
    assert len(said.err) < 12_000


def test_an_exit_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Not an exit code of 0, which scripts take for a sweep that is done."""
    assert overhear_main("sweep", write(tmp_path, "raise SystemExit(0)")) == 2
    begun, refused = capsys.readouterr().err.splitlines()
    assert begun == "planning the study"
    assert "calls sys.exit" in refused


def overhear_main(*words: str) -> int | str | None:
    """The exit code of a command line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["overhear", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    return ended.value.code


def test_repeats_are_bounded(tmp_path: Path):
    found = find(write(tmp_path, MINE))
    with pytest.raises(
        ValueError, match=r"--repeats 1,000,000,000 of 2 trials are 2,000,000,000: at"
    ):
        trials_of(found, {}, 10**9)
    for none in (0, -1):
        with pytest.raises(ValueError, match=f"repeats={none} must be at least 1"):
            trials_of(found, {}, none)


def test_unknown_studies():
    with pytest.raises(
        ValueError,
        match=r"study quikstart: no such study \(did you mean quickstart\?\)",
    ):
        find("quikstart")
    with pytest.raises(ValueError, match=r"study file none.py: no such file"):
        find("none.py")


def test_repeats_has_a_bound(trial: Trial):
    with pytest.raises(ValueError, match=r"repeats=0 must be at least 1"):
        list(repeats([trial], 0))


def test_what_takes_over_follows_its_source(trial: Trial):
    """Changed or repeated, a source has another id: of its own seed, it is still the source."""
    source = changed(trial, {"network.width": 9})
    target = changed(trial, {"transfer.trial": source.id, "transfer.rate": 0.1})
    last = changed(trial, {"transfer.trial": target.id, "transfer.rate": 0.2})
    given = Study("mine", "?", "me", lambda: [last, source, target])
    same = trials_of(given, {})
    assert [each.id for each in same] == [last.id, source.id, target.id]
    far, first, near = trials_of(given, {"training.epochs": 9})
    assert first.id != source.id
    assert near.transfer.trial == first.id
    assert far.transfer.trial == near.id
    repeated = trials_of(given, {}, 2)
    by_seed = {(each.seed, each.transfer.rate): each for each in repeated}
    assert len(repeated) == 6
    for seed in (0, 1):
        assert by_seed[seed, 0.1].transfer.trial == by_seed[seed, 1.0].id
        assert by_seed[seed, 0.2].transfer.trial == by_seed[seed, 0.1].id
    elsewhere = changed(trial, {"transfer.trial": "0123456789ab"})
    (kept,) = trials_of(Study("mine", "?", "me", lambda: [elsewhere]), {"training.epochs": 9})
    assert kept.transfer.trial == "0123456789ab"
