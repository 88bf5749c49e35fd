"""Trying: parts of a person's own on a small batch, before anything trains.

Networks are tried where they are measured (scaling.networks.modules.own). Contents: `tried`.
"""

import numpy as np
import torch

from scaling.networks.modules.output import Output
from scaling.own.names import FRONTEND, OBJECTIVE, TRANSFORM, is_own
from scaling.seeds import stream
from scaling.settings import Trial
from scaling.sound import frontends, transforms
from scaling.sound.transforms.transform import Batch


def tried(trial: Trial) -> None:
    """Raises ValueError in one line, with the shapes, where a front end, a loss or an augmentation
    of a person's own fails on a small batch or puts out what it must not.
    """
    features, objective = trial.sound.features, trial.objective
    augment = trial.augment
    if is_own(features.kind):
        try:
            frontends.build(features, trial.sound.rate)(torch.zeros(2, trial.sound.samples))
        except Exception as error:
            raise _told(FRONTEND.field, features.kind, error) from error
    if is_own(objective.kind):
        logits_BY = torch.zeros(2, 3, requires_grad=True)
        try:
            loss = objective.loss([Output(logits_BY, logits_BY)], torch.eye(3)[:2], 0)
            sum(loss.parts.values()).backward()  # type: ignore[union-attr]
        except Exception as error:
            raise _told(OBJECTIVE.field, objective.kind, error) from error
    if is_own(augment.transform):
        kind = transforms.of(trial, augment.transform)
        if "apply" in vars(kind) and kind.__name__ == "Applied":  # others ask for a store
            batch = Batch(np.arange(2), torch.zeros(2, dtype=torch.int64), stream(0, "any"))
            try:
                kind.apply(kind.__new__(kind), torch.zeros(2, trial.sound.samples), batch)
            except Exception as error:
                raise _told(TRANSFORM.field, augment.transform, error) from error


def _told(field: str, kind: str, error: Exception) -> ValueError:
    if isinstance(error, ValueError) and str(error).startswith(field):
        return error
    line = (str(error) or repr(error)).splitlines()[0]
    return ValueError(f"{field}={kind} fails: {type(error).__name__}: {line}")
