"""Extension: a trial that goes on where one of fewer epochs ended, which is else the same.

Only where nothing depends on how many epochs there are: a rate that falls to its end over all of
them makes every epoch of another trial another one. Contents: `open_ended`, `shorter`.
"""

from scaling.results.records import Results
from scaling.settings import Trial, changed


def open_ended(trial: Trial) -> bool:
    """Whether a trial's epochs are those that it would begin with, had it more of them.

    One whose patience may end it is left out: it would end where the shorter one did.
    """
    training = trial.training
    plain = trial.objective.kind != "neighbours"  # trains nothing
    return plain and training.final == 1 and not training.patience


def shorter(trial: Trial, results: Results) -> Trial | None:
    """The trial with most of this one's epochs that has ended and left its last state."""
    if not open_ended(trial):
        return None
    left = set(results.folders("checkpoints"))
    for epochs in range(trial.training.epochs - 1, 0, -1) if left else ():
        try:
            other = changed(trial, {"training.epochs": epochs})
        except ValueError:  # too few for its warm-up, or for its cuts
            return None
        if other.id in left and results.ended([other.id]):
            return other
    return None
