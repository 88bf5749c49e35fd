import textwrap
from pathlib import Path

import pytest

from scaling.config import Trial, changed
from sweeps.study import Study, distinct, find, plan, product, repeats, shipped


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
    trials = plan(study, {})
    assert len({t.id for t in trials}) == len(trials) > 0
    assert study.question.endswith("?")
    assert study.source
    assert [t.id for t in plan(find(study.name), {})] == [t.id for t in trials]


def test_quickstart_and_esc10_width_are_what_they_say():
    quick = plan(find("quickstart"), {})
    assert len({(t.network.width, t.network.damping, t.seed) for t in quick}) == len(quick) == 12
    width = plan(find("esc10_width"), {})
    assert sorted((t.network.width, t.split.fold) for t in width) == [
        (w, f) for w in (8, 16, 32) for f in (1, 2, 3, 4, 5)
    ]


def write(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(textwrap.dedent(text))
    return str(path)


MINE = """
from scaling.recipes import QUICKSTART
from sweeps.study import product
QUESTION = "Does it work?"
SOURCE = "me"
def trials():
    yield from product(QUICKSTART, network__width=(2, 3))
"""


def test_a_file_of_ones_own(tmp_path: Path):
    study = find(write(tmp_path, MINE))
    assert study.name == "mine"
    assert [t.network.width for t in plan(study, {})] == [2, 3]
    assert [t.training.epochs for t in plan(study, {"training.epochs": "7"})] == [7, 7]
    assert [t.seed for t in plan(study, {}, 2)] == [0, 1, 0, 1]


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
        plan(find(write(tmp_path, text)), {})
    assert "\n" not in str(caught.value)


def test_unknown_studies():
    with pytest.raises(
        ValueError,
        match=r"study quikstart: not one of the shipped ones \(did you mean quickstart\?\)",
    ):
        find("quikstart")
    with pytest.raises(ValueError, match=r"study file none.py: no such file"):
        find("none.py")


def test_repeats_has_a_bound(trial: Trial):
    with pytest.raises(ValueError, match=r"repeats=0: at least 1"):
        list(repeats([trial], 0))


def test_what_takes_over_follows_its_source(trial: Trial):
    """Changed or repeated, a source has another id: of its own seed, it is still the source."""
    source = changed(trial, {"network.width": 9})
    target = changed(trial, {"transfer.trial": source.id, "transfer.rate": 0.1})
    last = changed(trial, {"transfer.trial": target.id, "transfer.rate": 0.2})
    given = Study("mine", "?", "me", lambda: [last, source, target])
    same = plan(given, {})
    assert [each.id for each in same] == [last.id, source.id, target.id]
    far, first, near = plan(given, {"training.epochs": 9})
    assert first.id != source.id
    assert near.transfer.trial == first.id
    assert far.transfer.trial == near.id
    repeated = plan(given, {}, 2)
    by_seed = {(each.seed, each.transfer.rate): each for each in repeated}
    assert len(repeated) == 6
    for seed in (0, 1):
        assert by_seed[seed, 0.1].transfer.trial == by_seed[seed, 1.0].id
        assert by_seed[seed, 0.2].transfer.trial == by_seed[seed, 0.1].id
    elsewhere = changed(trial, {"transfer.trial": "0123456789ab"})
    (kept,) = plan(Study("mine", "?", "me", lambda: [elsewhere]), {"training.epochs": 9})
    assert kept.transfer.trial == "0123456789ab"
