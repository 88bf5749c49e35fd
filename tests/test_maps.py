"""Maps of a results folder: computed once, from the saved weights, on the clips trained with."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scaling import machine
from scaling.networks.cost import field
from scaling.receptive_field import runs
from scaling.results import manifest
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.settings import Trial, changed
from scaling.sound import prepare
from scaling.sound.store import Store


@pytest.fixture
def swept(
    trial: Trial,
    store: Store,
    here: machine.Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Results, Trial]:
    """A folder with one complete trial and one that never ran; its clips are those of `store`."""
    results = Results(tmp_path)
    trained = changed(trial, {"network.initialization": "he", "training.epochs": 2})
    planned = manifest.plan(
        "s", [trained, changed(trained, {"seed": 9})], {"synthetic": store.table}
    )
    manifest.record(planned, dict.fromkeys((t.id for t in planned.trials), store.digest), results)
    list(run_trial(trained, store, here, results))
    monkeypatch.setattr(prepare, "scan", lambda *_: {})
    monkeypatch.setattr(
        prepare, "stores", lambda trials, *_: {prepare.store_key(t): store for t in trials}
    )
    return results, trained


@pytest.mark.filterwarnings("ignore:the maximum field")
def test_a_map_is_computed_once(swept: tuple[Results, Trial], here: machine.Machine):
    results, trained = swept
    chosen = runs.trials(results)
    assert [trial.id for trial in chosen] == [trained.id]
    assert chosen[0] == trained
    found = list(runs.compute(results, chosen, runs.Wanted(), here))
    assert found == [(trained, True)]
    assert list(runs.compute(results, chosen, runs.Wanted(), here)) == [(trained, False)]
    assert list(runs.compute(results, chosen, runs.Wanted("seen"), here)) == [(trained, True)]
    labels = {row["label"] for row in results.read("predictions").to_pylist()}
    by_class = runs.Wanted("seen", "class", sorted(labels)[0])
    assert list(runs.compute(results, chosen, by_class, here)) == [(trained, True)]
    rows = results.read("maps").to_pylist()
    kinds = [(row["split"], row["kind"]) for row in rows]
    assert kinds == [
        ("unseen", "feature"),
        ("seen", "feature"),
        ("seen", f"class {by_class.label}"),
    ]
    for row in rows:
        assert (row["rows"], row["columns"]) == trained.sound.shape
        assert len(row["values"]) == row["rows"] * row["columns"]
        assert row["inside"] == 1
        assert row["clips"] > 0


@pytest.mark.filterwarnings("ignore:the maximum field")
def test_nothing_lies_outside_the_maximum_field(swept: tuple[Results, Trial]):
    """One 1x1 convolution would see one pixel; this network sees what the arithmetic says."""
    results, trained = swept
    layers = trained.network.layers(10)
    here = machine.here("cpu", "float32", 1)
    list(runs.compute(results, [trained], runs.Wanted(), here))
    (row,) = results.read("maps").to_pylist()
    values_FN = np.array(row["values"]).reshape(row["rows"], row["columns"])
    reach = field(layers)
    mels, frames = trained.sound.shape
    rows, columns = reach
    first, last = rows.interval(round((row["row"] - rows.start) / rows.step), mels)
    left, right = columns.interval(round((row["column"] - columns.start) / columns.step), frames)
    assert values_FN[first : last + 1, left : right + 1].sum() == pytest.approx(values_FN.sum())


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        (runs.Wanted("nowhere"), "--split nowhere: trial .* has seen, unseen"),
        (runs.Wanted("seen", "class", "opera"), "--label opera: no such class"),
    ],
)
def test_what_is_not_there(
    swept: tuple[Results, Trial], here: machine.Machine, wanted: runs.Wanted, line: str
):
    results, trained = swept
    with pytest.raises(ValueError, match=line):
        list(runs.compute(results, [trained], wanted, here))


@pytest.mark.filterwarnings("ignore:the maximum field")
@pytest.mark.parametrize("kind", ["vib_cnn", "vgg9"])
def test_networks_that_end_in_a_dense_layer(
    swept: tuple[Results, Trial], here: machine.Machine, store: Store, kind: str
):
    """Their last map has an effective field; their class scores have no map to look at."""
    results, trained = swept
    dense = {"network.kind": kind, "network.depth": 0, "network.pointwise": 0}
    own = {"network.flatten": True} if kind == "vib_cnn" else {}
    plain = {"network.initialization": "fixup", "network.width": 1, "training.epochs": 2}
    other = changed(trained, {**dense, **own, **plain})
    planned = manifest.plan("s", [other], {"synthetic": store.table})
    manifest.record(planned, {other.id: store.digest}, results)
    list(run_trial(other, store, here, results))
    assert list(runs.compute(results, [other], runs.Wanted(), here)) == [(other, True)]
    (row,) = results.read("maps", [other.id]).to_pylist()
    assert row["inside"] == 1
    assert (row["rows"], row["columns"]) == trained.sound.shape
    with pytest.raises(ValueError, match=f"--kind logits: .* is a {kind}, which has no map of "):
        list(runs.compute(results, [other], runs.Wanted(kind="logits"), here))


def test_trials_without_weights(swept: tuple[Results, Trial], tmp_path: Path):
    results, trained = swept
    other = changed(trained, {"seed": 9}).id
    with pytest.raises(ValueError, match=f"--trial {other}: it has no weights/.*only a complete"):
        runs.trials(results, [other])
    with pytest.raises(ValueError, match="--trial 123: not in"):
        runs.trials(results, ["123"])
    with pytest.raises(ValueError, match="holds no trial's weights: run its sweep first"):
        runs.trials(Results(tmp_path / "empty"))


def test_other_clips_are_refused(
    swept: tuple[Results, Trial], here: machine.Machine, monkeypatch: pytest.MonkeyPatch
):
    results, trained = swept
    monkeypatch.setattr(prepare, "digests", lambda *_: {trained.id: "other"})
    monkeypatch.setattr(prepare, "glances", lambda *_: {trained.id: "others"})
    with pytest.raises(ValueError, match=r"was trained on other clips \(digest .*--root"):
        list(runs.compute(results, [trained], runs.Wanted(), here))


WRITER = """
import sys
from types import SimpleNamespace
from scaling.receptive_field import runs
from scaling.results.records import Results
where, own = sys.argv[1:]
numbers = ("row column sigma_f sigma_t f50 t50 f95 t95 luo_side participation inside".split())
row = dict.fromkeys(numbers, 1) | {"epoch": 1, "clips": 1, "rows": 1, "columns": 1, "values": [1.0]}
results, trial = Results(where), SimpleNamespace(id="t")
results.prepare()
print("ready", flush=True)
sys.stdin.readline()
for kind in ["feature", *(f"class {own}{k}" for k in range(15))]:
    runs._keep(results, trial, row | {"trial": "t", "split": "unseen", "kind": kind})
"""


def test_two_that_write_maps_at_once_lose_none_and_write_none_twice(tmp_path: Path):
    """Two processes, each with maps of its own and one that both have."""
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([*command, own], **pipes) for own in "ab"]
    for each in both:
        assert each.stdout.readline() == "ready\n"
    for each in both:
        each.stdin.write("\n")
        each.stdin.flush()
    assert [each.wait(60) for each in both] == [0, 0]
    kinds = [row["kind"] for row in Results(tmp_path).read("maps").to_pylist()]
    assert sorted(kinds) == sorted(["feature", *(f"class {o}{k}" for o in "ab" for k in range(15))])
