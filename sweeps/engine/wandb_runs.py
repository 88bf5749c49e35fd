"""Weights & Biases: metrics as runs, one per trial, in a project of the user's.

A run has the id of its trial: online it is resumed, and takes the epochs that it has not got; of an
offline one (WANDB_MODE=offline) what an earlier launch wrote is replaced, so that `wandb sync`
finds one folder per trial. Nothing but settings and metrics is sent: neither console, code,
packages nor the machine. Contents: Project.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from scaling.results.outcome import Status
from scaling.settings import Trial, flat
from scaling.settings.label import trial_labels
from scaling.storage import trouble
from scaling.text import printable
from sweeps.engine.loggers import Row, secretless, tag

# A person's own choice stands. No errors to W&B's authors, no lines among those of the sweep.
QUIET = {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}

LONGEST, REFUSED = 128, r"/\#?%:"  # of a project's name (W&B)


class Project:
    """The runs of a sweep in one project."""

    name = "W&B"

    def __init__(self, project: str, study: str, trials: Mapping[str, Trial]) -> None:
        """`trials` by id, more may come. Raises ValueError where W&B wants a key and has none."""
        if len(project) > LONGEST or set(project) & set(REFUSED):
            raise ValueError(
                f"--wandb {printable(project[:40])}: a project's name has at most {LONGEST} "
                f"letters, none of {REFUSED}"
            )
        for variable, value in QUIET.items():
            os.environ.setdefault(variable, value)
        self.project, self.study, self.trials = project, study, trials
        self.runs: dict[str, Any] = {}
        import wandb

        try:
            mode = wandb.setup().settings.mode
            known = mode != "online" or wandb.login(prompt=False)
            self.folder = Path(os.environ.get("WANDB_DIR", ".")).absolute()
            self.folder.mkdir(parents=True, exist_ok=True)
            self.offline = self.folder / "wandb" if mode == "offline" else None
        except Exception as error:  # noqa: BLE001
            # W&B checks its settings and asks its server
            raise ValueError(f"--wandb: {self.told(error)}") from None
        if not known:
            raise ValueError(
                "--wandb: W&B has no key: run `wandb login`, or set WANDB_API_KEY, or "
                "WANDB_MODE=offline"
            )

    def write(self, trial: str, rows: Sequence[Row]) -> None:
        """See Logger."""
        if trial not in self.runs:
            self.runs[trial] = self._begun(trial)
        run = self.runs[trial]
        for epoch, of_epoch in groupby(rows, key=lambda row: int(row["epoch"])):
            if epoch >= run.step:
                run.log({tag(row): row["value"] for row in of_epoch}, step=epoch, commit=True)

    def end(self, trial: str, status: Status) -> None:
        """Close the trial's run and say how it ended."""
        if trial in self.runs:
            run = self.runs.pop(trial)
            run.summary["status"] = str(status)
            run.finish(exit_code=int(status == Status.FAILED))

    def close(self) -> None:
        """Close the runs whose trials have not ended: the next launch resumes them."""
        for run in self.runs.values():
            run.finish(exit_code=1)

    def told(self, error: BaseException) -> str:
        """See Logger."""
        return secretless(trouble(error).reason, "WANDB_API_KEY")

    def _begun(self, trial: str) -> Any:
        import wandb

        label = trial_labels(self.trials.values())[trial]
        settings = wandb.Settings(
            console="off",
            silent=True,
            disable_code=True,
            disable_git=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
        )
        for earlier in self.offline.glob(f"offline-run-*-{trial}") if self.offline else ():
            shutil.rmtree(earlier)
        return wandb.init(
            dir=self.folder,
            project=self.project,
            group=self.study,
            id=trial,
            name=f"{label}-{trial}",
            config=flat(self.trials[trial]),
            resume="allow",
            reinit="create_new",
            settings=settings,
        )
