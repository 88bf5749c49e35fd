"""Which loggers a launch asks for. Contents: `logged`."""

from collections.abc import Mapping

from scaling.results.records import Results
from scaling.settings import Trial
from sweeps.engine.loggers import Logger, Loggers
from sweeps.engine.mlflow_runs import Experiment
from sweeps.engine.tensorboard import Board
from sweeps.engine.wandb_runs import Project
from sweeps.launch import Launch


def logged(launch: Launch, results: Results, trials: Mapping[str, Trial]) -> Loggers | None:
    """The loggers of a launch, None where it asks for none; `trials` by id, more may come.

    Raises ValueError for one that cannot be had.
    """
    asked, study = launch.log_to, launch.study.name
    loggers: list[Logger] = []
    if asked.tensorboard is not None:
        loggers.append(Board(asked.tensorboard, trials))
    if asked.mlflow is not None:
        loggers.append(Experiment(asked.mlflow, study, trials))
    if asked.wandb is not None:
        loggers.append(Project(asked.wandb, study, trials))
    return Loggers(results, loggers) if loggers else None
