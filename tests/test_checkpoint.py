"""A checkpoint that is of no use costs its epochs and one warning, never the trial."""

import io
import math
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from test_run_trial import records

from scaling import machine
from scaling.results import checkpoint
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.settings import Trial, changed
from scaling.sound.store import Store


@pytest.fixture
def short(trial: Trial) -> Trial:
    """Two epochs, with weights that are pruned, so that a state has all that it can have."""
    pruned = {"pruning.kind": "static", "pruning.target_width": 1}
    return changed(trial, {"training.epochs": 2, **pruned})


@pytest.fixture(scope="module")
def once() -> dict[str, Path]:
    """Where the first epoch was trained, once it was."""
    return {}


@pytest.fixture
def begun(
    short: Trial,
    store: Store,
    here: machine.Machine,
    tmp_path: Path,
    once: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Results:
    """A folder with the records of a first epoch."""
    if not once:
        once["here"] = tmp_path_factory.mktemp("once")
        next(run_trial(short, store, here, Results(once["here"])))
    shutil.copytree(once["here"], tmp_path / "begun")
    return Results(tmp_path / "begun")


def edited(results: Results, trial: Trial, edit: Callable[[dict[str, Any]], object]) -> None:
    """The trial's checkpoint with something changed, whole in itself."""
    state = checkpoint.load(trial, results)
    assert state is not None
    edit(state)
    checkpoint.save(trial, results, state)


def first(parts: dict[str, Any]) -> str:
    return next(name for name, value in parts.items() if value.dim() > 1)


def reshape(state: dict[str, Any]) -> None:
    state["model"][first(state["model"])] = torch.zeros(3, 3)


def retype(state: dict[str, Any]) -> None:
    name = first(state["model"])
    state["model"][name] = state["model"][name].double()


def moment(state: dict[str, Any]) -> None:
    state["optimizer"]["state"][0]["exp_avg"] = torch.zeros(2, 2)


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "an epoch beyond the last": lambda s: s.update(epoch=99),
    "an epoch before the first": lambda s: s.update(epoch=0),
    "an epoch that is a word": lambda s: s.update(epoch="one"),
    "no time": lambda s: s.update(wall_s=math.nan),
    "no patience": lambda s: s.update(patience=(1,)),
    "no model": lambda s: s.pop("model"),
    "a model of numbers": lambda s: s.update(model={"a": 1}),
    "a layer less": lambda s: s["model"].pop(first(s["model"])),
    "another shape": reshape,
    "another type": retype,
    "an optimizer that is a list": lambda s: s.update(optimizer=[]),
    "an empty optimizer": lambda s: s.update(optimizer={}),
    "an optimizer with another decay": lambda s: s["optimizer"]["param_groups"][0].update(
        weight_decay=0.5
    ),
    "a moment of another shape": moment,
    "moments that are missing": lambda s: s["optimizer"]["state"][0].pop("exp_avg_sq"),
    "a weight too many": lambda s: s["optimizer"]["state"].update({999: {}}),
    "no masks": lambda s: s.update(masks=None),
    "masks of another network": lambda s: s.update(masks={"a": torch.ones(2, dtype=torch.bool)}),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_a_state_that_does_not_fit(
    short: Trial,
    store: Store,
    here: machine.Machine,
    begun: Results,
    edit: Callable[[dict[str, Any]], object],
):
    edited(begun, short, edit)
    with pytest.warns(UserWarning, match=f"trial {short.id}: its checkpoint is damaged") as said:
        heard = list(run_trial(short, store, here, begun))
    assert [(each.epoch, each.status) for each in heard] == [(1, "running"), (2, "complete")]
    ours = [str(each.message) for each in said if "checkpoint" in str(each.message)]
    assert len(ours) == 1
    assert ours[0].endswith("; the trial starts over")
    assert "\n" not in ours[0]
    assert len(ours[0]) < 300


def test_what_begins_again_is_the_same_trial(
    short: Trial, store: Store, here: machine.Machine, begun: Results, tmp_path: Path
):
    list(run_trial(short, store, here, Results(tmp_path / "alone")))
    edited(begun, short, reshape)
    with pytest.warns(UserWarning, match="is damaged"):
        list(run_trial(short, store, here, begun))
    assert records(tmp_path / "begun", short) == records(tmp_path / "alone", short)


def test_another_trial_s_state_is_not_taken_up(
    short: Trial, store: Store, here: machine.Machine, begun: Results
):
    """Of the same shape: only what it says of itself tells it apart."""
    other = changed(short, {"seed": 9})
    content = begun.get("checkpoints", short.id, checkpoint.NAME)
    assert content is not None
    begun.put(content, "checkpoints", other.id, checkpoint.NAME)
    with pytest.warns(
        UserWarning, match=f"damaged .it is of trial {short.id}.; the trial starts over"
    ):
        assert next(run_trial(other, store, here, begun)).epoch == 1


def packed(content: bytes, compression: int) -> bytes:
    """The same archive, compressed."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(made, "w", compression) as new,
    ):
        for each in old.infolist():
            new.writestr(each.filename, old.read(each))
    return made.getvalue()


def test_a_state_that_unpacks_to_far_more_is_not_unpacked(short: Trial, begun: Results):
    huge = io.BytesIO()
    torch.save({"model": {"w": torch.zeros(50_000_000)}}, huge)
    bomb = packed(huge.getvalue(), zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1_000_000
    begun.put(bomb, "checkpoints", short.id, checkpoint.NAME)
    with pytest.warns(UserWarning, match=r"is damaged \(it unpacks to 200,\S+ bytes from \S+\);"):
        assert checkpoint.load(short, begun) is None


class Harmful:
    """What would run code, were it unpickled."""

    def __reduce__(self) -> Any:
        return print, ("code was run",)


def test_no_code_of_a_state_is_run(
    short: Trial, begun: Results, capsys: pytest.CaptureFixture[str]
):
    content = io.BytesIO()
    torch.save({"version": checkpoint.VERSION, "model": Harmful()}, content)
    begun.put(content.getvalue(), "checkpoints", short.id, checkpoint.NAME)
    with pytest.warns(UserWarning, match="is damaged"):
        assert checkpoint.load(short, begun) is None
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [None, b"torn", b""])
def test_a_state_without_its_metrics_is_of_no_use(
    short: Trial, store: Store, here: machine.Machine, begun: Results, content: bytes | None
):
    path = Path(begun.path("metrics", f"{short.id}.parquet"))
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.warns(
        UserWarning, match=f"^trial {short.id}: .*metrics/.*; the trial starts over$"
    ):
        *_, last = run_trial(short, store, here, begun)
    assert last.status == "complete"
    epochs = begun.read("metrics", [short.id])["epoch"].to_pylist()
    assert set(epochs) == {1, 2}


def test_a_complete_trial_whose_outcome_is_deleted_runs_again(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    """As the line of a damaged outcome says; also where its last state was kept for longer ones."""
    steady = changed(trial, {"training.final": 1.0, "training.epochs": 2})
    results = Results(tmp_path / "again")
    list(run_trial(steady, store, here, results))
    before = records(tmp_path / "again", steady)
    assert results.folders("checkpoints") == [steady.id]
    results.remove("outcomes", f"{steady.id}.parquet")
    heard = list(run_trial(steady, store, here, results))
    assert heard[-1].status == "complete"
    assert records(tmp_path / "again", steady) == before


def test_a_damaged_outcome_ends_no_trial(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    results = Results(tmp_path)
    (tmp_path / "outcomes").mkdir()
    path = tmp_path / "outcomes" / f"{trial.id}.parquet"
    path.write_bytes(b"torn")
    with pytest.raises(OSError, match=f"^{path} cannot be read .*: delete it, and run the same"):
        next(run_trial(trial, store, here, results))
