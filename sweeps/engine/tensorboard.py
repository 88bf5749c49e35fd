"""TensorBoard: the metrics that trials record, also written as event files while a sweep runs.

The records stay the only truth: the event files are made from them by the driver, epoch by epoch,
in one folder per trial, named by its label and id. Contents: Board.
"""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scaling.results.records import Results
from scaling.results.run_trial import Progress
from scaling.settings import Trial
from scaling.settings.label import trial_labels
from scaling.storage import is_uri, shown, trouble


class Board:
    """The event files of a sweep; knows of each trial which epochs it has written."""

    def __init__(self, folder: str, results: Results, trials: Mapping[str, Trial]) -> None:
        """`trials` by id; more may come. Raises ValueError where the folder cannot be written."""
        self.folder, self.results = Path(folder).expanduser(), results
        self.trials = trials
        self.writers: dict[str, Any] = {}
        self.written: dict[str, int] = {}
        self.broken = False
        if is_uri(folder):
            raise ValueError(f"--tensorboard {shown(folder)}: TensorBoard needs a local folder")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / ".overhear"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ValueError(
                f"--tensorboard {shown(folder)}: cannot be written ({trouble(error).reason}): "
                f"{trouble(error).remedy}, or name another folder"
            ) from None

    def close(self) -> None:
        """Close the files that are still open."""
        for writer in self.writers.values():
            writer.close()

    def heard(self, progress: Progress) -> None:
        """Write what a trial recorded since it was last heard of.

        What goes wrong ends the board, with a warning, and not the sweep.
        """
        if self.broken:
            return
        try:
            self._write(progress.trial)
            if progress.status.ended and progress.trial in self.writers:
                self.writers.pop(progress.trial).close()
        except (OSError, ValueError) as error:
            self.broken = True
            warnings.warn(
                f"no more of this sweep is written for TensorBoard: {error}", stacklevel=2
            )

    def _write(self, trial: str) -> None:
        if not self.results.holds("metrics", trial):
            return
        rows = self.results.read("metrics", [trial]).to_pylist()
        before = self.written.get(trial, 0)
        fresh = [row for row in rows if row["epoch"] > before]
        if not fresh:
            return
        writer = self._writer(trial)
        for row in fresh:
            device = "" if row["device"] == "all" else f"/{row['device']}"
            writer.add_scalar(f"{row['metric']}/{row['split']}{device}", row["value"], row["epoch"])
        writer.flush()
        self.written[trial] = max(row["epoch"] for row in fresh)

    def _writer(self, trial: str) -> Any:
        """The trial's event file, begun again: what an earlier launch wrote of it is replaced."""
        from tensorboardX import SummaryWriter

        if trial not in self.writers:
            earlier = next(self.folder.glob(f"*{trial}"), None)
            label = trial_labels(self.trials.values())[trial]
            folder = earlier or self.folder / f"{label}-{trial}"
            if trial not in self.written and folder.is_dir():
                for old in folder.glob("events.out.tfevents.*"):
                    old.unlink()
            writer = SummaryWriter(logdir=str(folder))
            writer.add_text("trial", json.dumps(self.trials[trial].stated()))
            self.writers[trial] = writer
        return self.writers[trial]
