"""Model: a trained trial in use, read from its weights and records, without its recordings.

Conventions: waves are mono, float32, full scale 1, at the model's rate and of its length; a wave is
answered as the trial's evaluation answered its held-out clips. Contents: Model, `load`, `labels`.
"""

# B clips, T samples, F mel bands, N frames, P patches of a clip, Y classes

import torch
from torch import Tensor, nn

from scaling.machine import Machine
from scaling.objectives.prototypes import Prototypes
from scaling.receptive_field import runs
from scaling.results import weights
from scaling.results.records import Results
from scaling.settings import Trial
from scaling.sound import frontends
from scaling.training import classifier, evaluation, inputs
from scaling.training.classifier import Classifier


class Model(nn.Module):
    """A trained trial in use: its front end, standardization and network, in evaluation mode.

    `temperature` is what logits are divided by before they become probabilities: 1.0 as trained,
    another where a calibration has set it.
    """

    def __init__(
        self, trial: Trial, labels: tuple[str, ...], frontend: nn.Module, classifier: Classifier
    ) -> None:
        super().__init__()
        self.trial = trial
        self.labels = labels  # in the order of the logits
        self.temperature = 1.0
        self.frontend = frontend
        self.classifier = classifier

    @property
    def id(self) -> str:
        """The trial's id."""
        return self.trial.id

    @property
    def rate(self) -> int:
        """Samples of a second, Hz."""
        return self.trial.sound.rate

    @property
    def samples(self) -> int:
        """Samples of one clip, as trained."""
        return self.trial.sound.samples

    def forward(self, waves_BT: Tensor) -> Tensor:
        """Logits (B, Y) float32 of waves (B, samples); those of a clip's patches are pooled as in
        evaluation. Raises ValueError for waves of another length.
        """
        if waves_BT.ndim != 2 or waves_BT.shape[1] != self.samples:
            raise ValueError(
                f"waves of {tuple(waves_BT.shape)}: model {self.id} takes (clips, {self.samples}), "
                f"{self.trial.sound.seconds:g} s at {self.rate} Hz"
            )
        patches_BPFN = inputs.patches(self.trial, self.frontend(waves_BT))
        clips, each = patches_BPFN.shape[:2]
        logits_BY: Tensor = self.classifier(patches_BPFN.flatten(0, 1)).logits_BY.float()
        return evaluation.pooled(
            logits_BY.reshape(clips, each, -1), self.trial.evaluation.patch_votes
        )

    def probabilities(self, logits_BY: Tensor) -> Tensor:
        """Probabilities (B, Y) of logits: softmax of logits / temperature."""
        return (logits_BY / self.temperature).softmax(dim=1)


def load(
    results: Results,
    trial: str,
    machine: Machine | None = None,
    temperature: float | None = None,
) -> Model:
    """The model of a complete trial, by its id; on the CPU in float32 unless a machine is named, as
    trained unless a temperature calibrates it.

    Its parameters ask for no gradient. Raises ValueError for a trial that is unknown, has no
    weights, or answers from more than weights, and where its classes cannot be told.
    """
    (found,) = runs.trials(results, [trial])
    _check(found)
    names = labels(results, found)
    where = machine or Machine(torch.device("cpu"), torch.float32, torch.get_num_threads())
    front = frontends.build(found.sound.features, found.sound.rate, where.frontend)
    model = classifier.untrained(found, len(names), front, where)
    weights.restore(model, trial, results)
    model = classifier.in_use(model, found, len(names))
    made = Model(found, names, front, model).to(where.device).eval()
    made.temperature = temperature or 1.0
    return made.requires_grad_(False)


def _check(trial: Trial) -> None:
    """Raise ValueError for a trial whose answers take more than its weights."""
    if not trial.objective.trains:
        raise ValueError(
            f"trial {trial.id} has trained no network (objective.kind={trial.objective.kind}: it "
            "compares clips with all of its training clips): name a trial that has"
        )
    if isinstance(trial.objective, Prototypes):
        raise ValueError(
            f"trial {trial.id} measures distances to training clips (objective.kind=prototypes), "
            "which its weights do not hold: name a trial with another objective"
        )


def labels(results: Results, trial: Trial) -> tuple[str, ...]:
    """The classes of a complete trial, in the order of its logits.

    They are what its outcome says. Folders of earlier versions do not: there they are the classes
    that the trial names or, if these are as many as its logits, those that it and the trials of the
    same clips were asked for or answered. Raises ValueError where these are fewer.
    """
    outcome = results.outcome(trial.id)
    if outcome and outcome.labels:
        return tuple(outcome.labels)
    if trial.sound.classes:
        return tuple(sorted(trial.sound.classes))
    planned = results.read("manifest").select(["trial", "sound.classes", "data_digest"])
    rows = {row["trial"]: row for row in planned.to_pylist()}
    alike = [
        name
        for name, row in rows.items()
        if row["data_digest"] == rows[trial.id]["data_digest"] and not row["sound.classes"]
    ]
    seen: set[str] = set()
    outputs = 0
    # most often its own predictions suffice
    for name in sorted(alike, key=lambda each: each != trial.id):
        for _, table in results.each("predictions", [name] if _has(results, name) else []):
            seen.update(table["label"].to_pylist(), table["predicted"].to_pylist())
            outputs = outputs or len(table["logits"][0])
        if outputs and len(seen) >= outputs:
            break
    if not outputs or len(seen) != outputs:
        raise ValueError(
            f"trial {trial.id} has {outputs} logits, but its records name {len(seen)} classes: an "
            f"earlier Overhear did not record them; delete outcomes/{trial.id}.parquet and run "
            "its sweep again"
        )
    return tuple(sorted(seen))


def _has(results: Results, trial: str) -> bool:
    return results.holds("predictions", trial)
