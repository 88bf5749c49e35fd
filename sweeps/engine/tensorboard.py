"""TensorBoard: metrics as event files, in one folder per trial, named by its label and id.

Contents: Board.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scaling.results.outcome import Status
from scaling.settings import Trial
from scaling.settings.label import trial_labels
from scaling.storage import is_uri, shown, trouble
from sweeps.engine.loggers import Row, tag


class Board:
    """The event files of a sweep."""

    name = "TensorBoard"

    def __init__(self, folder: str, trials: Mapping[str, Trial]) -> None:
        """`trials` by id; more may come. Raises ValueError where the folder cannot be written."""
        self.folder = Path(folder).expanduser()
        self.trials = trials
        self.writers: dict[str, Any] = {}
        self.begun: set[str] = set()
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

    def write(self, trial: str, rows: Sequence[Row]) -> None:
        """See Logger."""
        writer = self._writer(trial)
        for row in rows:
            writer.add_scalar(tag(row), row["value"], row["epoch"])
        writer.flush()

    def end(self, trial: str, status: Status) -> None:
        """Close the trial's file."""
        del status
        if trial in self.writers:
            self.writers.pop(trial).close()

    def close(self) -> None:
        """Close the files that are still open."""
        for writer in self.writers.values():
            writer.close()

    def told(self, error: BaseException) -> str:
        """See Logger."""
        return trouble(error).reason

    def _writer(self, trial: str) -> Any:
        """The trial's event file, begun again: what an earlier launch wrote of it is replaced."""
        from tensorboardX import SummaryWriter

        if trial not in self.writers:
            earlier = next(self.folder.glob(f"*{trial}"), None)
            label = trial_labels(self.trials.values())[trial]
            folder = earlier or self.folder / f"{label}-{trial}"
            if trial not in self.begun and folder.is_dir():
                for old in folder.glob("events.out.tfevents.*"):
                    old.unlink()
            writer = SummaryWriter(logdir=str(folder))
            writer.add_text("trial", json.dumps(self.trials[trial].stated()))
            self.writers[trial] = writer
            self.begun.add(trial)
        return self.writers[trial]
