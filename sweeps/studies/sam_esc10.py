"""The distance of SAM and the learning rate on ESC-10, searched together on validation clips."""

from scaling.settings import changed
from scaling.settings.recipes import ESC10_MICROPHONES
from sweeps.adaptive.early_stopping import Asha
from sweeps.adaptive.search import LogUniform

QUESTION = "Which rho and which learning rate suit sharpness-aware minimization?"
SOURCE = "ours; SAM of Foret et al. 2021, reported both ways on unseen devices"
# Microphones of the test are scored, and choose nothing.
BASE = changed(
    ESC10_MICROPHONES,
    {"split.validation_fold": 2, "training.sam": 0.05, "evaluation.every": 1, "evaluation.last": 1},
)
SPACE = {"training.sam": LogUniform(5e-3, 0.5), "training.rate": LogUniform(2e-4, 2e-2)}
SAMPLES = 16
# The first rung comes after the warm-up, in which all rates are alike.
STOPPING = Asha(first=7, factor=3)
