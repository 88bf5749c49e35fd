"""How to train one network on ESC-10, searched on validation clips."""

from scaling.settings import changed
from scaling.settings.recipes import ESC10
from sweeps.adaptive.early_stopping import Asha
from sweeps.adaptive.search import Choice, LogUniform, Uniform

QUESTION = "How much is gained by tuning learning rate, batch size, mixup and roll together?"
SOURCE = "ours; the tree-structured Parzen estimator of Bergstra et al. 2011, as in Optuna"
# Half the epochs of the recipe.
HALVED = {"training.epochs": 30, "training.warmup": 5, "network.width": 16}
BASE = changed(ESC10, {"split.validation_fold": 2, **HALVED})
SPACE = {
    "training.rate": LogUniform(2e-4, 2e-2),
    "training.batch": Choice((8, 16, 32)),
    "augment.mixup": Uniform(0.0, 1.0),
    "augment.roll": Uniform(0.0, 2.5),
}
SAMPLES = 24
# The first rung lies behind the warm-up, in which all rates are alike.
STOPPING = Asha(first=7, factor=3)
