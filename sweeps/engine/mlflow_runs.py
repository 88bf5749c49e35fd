"""MLflow: metrics as runs, one per trial, in an experiment named after the study.

Source: MlflowClient of mlflow-skinny 3. A run is found again by the tag `overhear.trial`, and takes
the epochs that it has not got. Contents: Experiment.
"""

import logging
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scaling.results.outcome import Status
from scaling.settings import Trial, flat
from scaling.settings.label import trial_labels
from scaling.storage import is_uri, shown, trouble
from scaling.text import file_name
from sweeps.engine.loggers import Row, secretless, tag

TAG = "overhear.trial"
DATABASE = "mlflow.db"  # as `mlflow ui` names its own
LONGEST = 500  # letters of a parameter, of all servers
AT_ONCE = 1000, 100  # metrics, and parameters, in a request (MLflow's REST API)
NAMED = re.compile(r"[\w.\- :]+(/[\w.\- :]+)*")  # what MLflow takes for the name of a metric
# A person's own choice stands. Two more tries, not seven with minutes between; no lines among those
# of the sweep; nothing of what is run is told to MLflow's authors.
CALM = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}
ENDED = {Status.COMPLETE: "FINISHED", Status.STOPPED: "FINISHED", Status.FAILED: "FAILED"}


class Experiment:
    """The runs of a sweep at an MLflow server, or in a folder's database."""

    name = "MLflow"

    def __init__(self, where: str, study: str, trials: Mapping[str, Trial]) -> None:
        """`where` is a tracking URI or a local folder; `trials` by id, more may come.

        Raises ValueError where no experiment can be had there.
        """
        for variable, value in CALM.items():
            os.environ.setdefault(variable, value)
        logging.getLogger("alembic").setLevel(logging.ERROR)  # it tells how it makes tables
        self.where, self.trials = where, trials
        self.uri = where
        self.ids: dict[str, str] = {}  # of runs, by trial
        artifacts = None
        try:
            if not is_uri(where):
                folder = Path(where).expanduser().absolute()
                folder.mkdir(parents=True, exist_ok=True)
                self.uri = f"sqlite:///{folder / DATABASE}"
                artifacts = (folder / "artifacts").as_uri()
            from mlflow import MlflowClient

            self.client = MlflowClient(tracking_uri=self.uri)
            found = self.client.get_experiment_by_name(study)
            self.experiment = (
                found.experiment_id if found else self.client.create_experiment(study, artifacts)
            )
        except Exception as error:  # noqa: BLE001
            # MLflow hands on what its database, its server or the disk raise
            raise ValueError(
                f"--mlflow {shown(where)}: no experiment can be opened there: {self.told(error)}"
            ) from None

    def write(self, trial: str, rows: Sequence[Row]) -> None:
        """See Logger."""
        from mlflow.entities import Metric

        known = trial in self.ids
        run = self._run(trial)
        keys = [_name(row) for row in rows]
        there = set() if known else self._there(run, set(keys))
        now = int(time.time() * 1000)
        metrics = [
            Metric(key, row["value"], now, row["epoch"])
            for key, row in zip(keys, rows, strict=True)
            if (key, row["epoch"]) not in there
        ]
        for at in range(0, len(metrics), AT_ONCE[0]):
            self.client.log_batch(run, metrics=metrics[at : at + AT_ONCE[0]])

    def end(self, trial: str, status: Status) -> None:
        """Say how the trial ended."""
        if trial in self.ids:
            run = self.ids[trial]
            self.client.set_tag(run, "overhear.status", str(status))
            self.client.set_terminated(run, ENDED[status])

    def close(self) -> None:
        """Runs whose trials have not ended stay as they are: the next launch resumes them."""

    def told(self, error: BaseException) -> str:
        """See Logger."""
        return secretless(trouble(error, self.where, self.uri).reason, "MLFLOW_TRACKING_")

    def _run(self, trial: str) -> str:
        """The id of the trial's run: an earlier launch's, which runs again, or a new one."""
        if trial in self.ids:
            return self.ids[trial]
        chosen = f"tags.`{TAG}` = '{trial}'"
        if found := self.client.search_runs([self.experiment], chosen, max_results=1):
            run: str = found[0].info.run_id
            self.client.update_run(run, status="RUNNING")
        else:
            label = trial_labels(self.trials.values())[trial]
            created = self.client.create_run(
                self.experiment, tags={TAG: trial}, run_name=f"{label}-{trial}"
            )
            run = created.info.run_id
            self._tell_settings(run, self.trials[trial])
        self.ids[trial] = run
        return run

    def _tell_settings(self, run: str, trial: Trial) -> None:
        from mlflow.entities import Param

        settings = [Param(name, str(value)[:LONGEST]) for name, value in flat(trial).items()]
        for at in range(0, len(settings), AT_ONCE[1]):
            self.client.log_batch(run, params=settings[at : at + AT_ONCE[1]])

    def _there(self, run: str, keys: set[str]) -> set[tuple[str, int]]:
        """Which metrics of which epochs the run has."""
        history: Any = self.client.get_metric_history
        return {(key, metric.step) for key in keys for metric in history(run, key)}


def _name(row: Row) -> str:
    """The row's tag, its device without letters that MLflow refuses."""
    name = tag(row)
    if NAMED.fullmatch(name):
        return name
    return tag(row | {"device": file_name(row["device"])})
