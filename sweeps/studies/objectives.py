"""What to minimize, by width and training fraction, on seen and unseen devices: TAU 2020 Mobile."""

from collections.abc import Iterator

from scaling.results.claims import Claim
from scaling.settings import Trial, changed
from scaling.settings.recipes import BATCHED, BOTTLENECK, CONSISTENT, TAU2020
from sweeps.studies.consistency_table import AGREED, VIEWED
from sweeps.studies.vib_table import BOTTLENECKED, PLAIN
from sweeps.study import product, repeats

QUESTION = "Which objective works best on unseen devices?"
SOURCE = "ours; objectives of Hu et al. 2021 and Iqbal et al. 2021 on one network"
TRANSFORM = "combination"
CLAIMS = (
    Claim("a bottleneck helps on unseen devices", BOTTLENECKED, PLAIN),
    Claim("consistency helps on unseen devices", AGREED, PLAIN),
    Claim("consistency beats batched augmentation on unseen devices", AGREED, VIEWED),
)


def models(trial: Trial) -> Iterator[Trial]:
    """Cross-entropy; with dropout; with weight decay; a bottleneck; batched augmentation;
    consistency. All take as many optimizer steps.
    """
    yield trial
    yield changed(trial, {"network.dropout": 0.2})
    yield changed(trial, {"training.weight_decay": 1e-4})
    yield trial.model_copy(update={"objective": BOTTLENECK})
    for objective in (BATCHED, CONSISTENT):
        views = trial.model_copy(update={"objective": objective})
        yield changed(views, {"augment.transform": TRANSFORM})


def trials() -> Iterator[Trial]:
    """Six objectives, three widths, three fractions of the training clips, three seeds.

    A batch holds as many clips for all, three views of each where views are compared: equal steps
    and equal clips, at three times the work for those. The batch is TAU2020's.
    """
    for trial in models(TAU2020):
        varied = product(trial, network__width=(16, 32, 64), split__fraction=(0.1, 0.3, 1.0))
        yield from repeats(varied, 3)
