"""TensorBoard's files, read back with its own reader, against the records."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from scaling import machine
from scaling.results.records import Results
from scaling.results.run_trial import Progress, run_trial
from scaling.settings import Trial, changed
from scaling.sound.store import Store
from sweeps.engine.tensorboard import Board


def scalars(folder: Path) -> dict[tuple[str, int], float]:
    """All scalars below a folder by (tag, epoch); an epoch that is there twice is an error."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[tuple[str, int], float] = {}
    for file in folder.glob("events.out.tfevents.*"):
        content, at = file.read_bytes(), 0
        while at < len(content):  # length, its checksum, an event, its checksum
            size = int.from_bytes(content[at : at + 8], "little")
            event = Event.FromString(content[at + 12 : at + 12 + size])
            at += size + 16
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    assert (value.tag, event.step) not in found
                    found[value.tag, event.step] = value.simple_value
    return found


def recorded(results: Results, trial: Trial) -> dict[tuple[str, int], float]:
    rows = results.read("metrics", [trial.id]).to_pylist()
    of = {row["device"]: f"/{row['device']}" for row in rows} | {"all": ""}
    return {
        (f"{row['metric']}/{row['split']}{of[row['device']]}", row["epoch"]): row["value"]
        for row in rows
    }


def test_a_board_is_the_records_epoch_by_epoch(trial: Trial, store: Store, tmp_path: Path):
    """Also of a second launch, which begins the files of a trial that it goes on with again."""
    results = Results(tmp_path / "results")
    trials = [trial, changed(trial, {"seed": 9})]
    known = {each.id: each for each in trials}
    here = machine.here("cpu", "float32", 1)
    first = run_trial(trials[0], store, here, results)
    with closing(Board(str(tmp_path / "board"), results, known)) as board:
        board.heard(next(first))
        board.heard(next(first))
        begun = scalars(tmp_path / "board" / f"W2-seed3-{trial.id}")
        assert {epoch for _, epoch in begun} == {1, 2}
    first.close()
    with closing(Board(str(tmp_path / "board"), results, known)) as board:
        for each in trials:
            for progress in run_trial(each, store, here, results):
                board.heard(progress)
    for each in trials:
        named = f"W2-seed{each.seed}-{each.id}"
        written, kept = scalars(tmp_path / "board" / named), recorded(results, each)
        assert written.keys() == kept.keys()
        assert written == pytest.approx(kept)


def test_what_stops_a_board_does_not_stop_the_sweep(trial: Trial, tmp_path: Path):
    results, folder = Results(tmp_path / "results"), tmp_path / "board"
    row = {"trial": trial.id, "epoch": 1, "split": "train", "device": "all", "metric": "loss"}
    results.write("metrics", trial.id, [row | {"value": 1.0}])
    with closing(Board(str(folder), results, {trial.id: trial})) as board:
        os.rmdir(folder)  # noqa: PTH106
        folder.write_text("a file stands in its place")
        with pytest.warns(UserWarning, match="no more of this sweep is written for Tens"):
            board.heard(Progress(trial.id, 1, 3, None, 0.0))
        board.heard(Progress(trial.id, 2, 3, None, 0.0))


def test_a_folder_that_cannot_be_written_is_said_at_once(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"--tensorboard .*file/board: cannot be written \("):
        Board(str(tmp_path / "file" / "board"), Results(tmp_path), {})
    with pytest.raises(ValueError, match="--tensorboard s3://bucket: TensorBoard needs a local"):
        Board("s3://bucket", Results(tmp_path), {})
