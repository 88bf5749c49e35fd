"""The papers' tables: their numbers, and which trials of ours belong into them.

Sources: Hu et al. 2021 (arXiv 2107.04803), Table 3, one number a cell; Iqbal et al. 2021 (arXiv
2102.05151), Table 1, with standard errors; Koutini et al. 2021, section 4, of base networks. The
numbers lie in analysis/published, as fractions.
Contents: Published, PUBLISHED, table, numbers, told.
"""

from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.conditions import BOTTLENECK
from scaling.spelling import nearest

MATCHED = ["published_for", "model", "split.fraction"]
METRICS = ("accuracy", "macro_f1")  # the VIB paper says F1; its authors' code takes the macro mean
# what none of these papers does: trials that do are none of their models
OFF = {
    "sound.classes": "",
    "network.damping": 0.0,
    "augment.roll": 0.0,
    "augment.mixup": 0.0,
    "microphones.share": 0.0,
    "transfer.trial": "",
    "pruning.kind": "none",
}
TRUE_LABELS = {"split.labels": "true"}
TRANSFORMS = {
    "none": "No Augmentation",
    "pitch": "Pitch-Shift",
    "reverb": "Reverb",
    "mask": "TF-Masking",
    "combination": "Combination",
}


class Published(NamedTuple):
    """A table of a paper, and what of ours belongs into it."""

    network: str  # its network.kind
    datasets: Mapping[str, str]  # its names, and ours of the same recordings
    kin: Mapping[str, str]  # ours that it has not, and ours whose numbers stand beside them
    models: Callable[[pd.DataFrame], "pd.Series[str]"]  # trials' names in it, empty for none
    among: Mapping[str, str]  # settings chosen on validation clips, and what they are called
    study: str  # the shipped one that makes it again at CPU scale
    off: Mapping[str, Any] = OFF | TRUE_LABELS
    split: str = "test"  # that its numbers are of
    sizes: bool = False  # whether ours of other sizes than its own stand in it, too


def _vib_models(trials: pd.DataFrame) -> "pd.Series[str]":
    """The CNN with at most one thing against overfitting."""
    against = {
        "CNN+Dropout": trials["network.dropout"] > 0,
        "CNN+WeightDecay": trials["training.weight_decay"] > 0,
        "CNN+VIB": trials["objective.kind"] == "bottleneck",
    }
    name = np.select([*against.values()], [*against], default="CNN")
    count = np.sum([*against.values()], axis=0)
    alone = (count <= 1) & (trials["augment.transform"] == "none")
    return pd.Series(name, index=trials.index, dtype="str").where(alone, "")


def _consistency_models(trials: pd.DataFrame) -> "pd.Series[str]":
    """A transform, learnt from in the standard way, batched (-BDA) or to be agreed on (-CL)."""
    views = trials["objective.kind"] == "consistency"
    agreed = trials["objective.weight"] > 0
    ending = np.select([views & agreed, views], ["-CL", "-BDA"], default="")
    named: pd.Series[str] = trials["augment.transform"].map(TRANSFORMS) + ending
    plain = (trials["network.dropout"] == 0) & (trials["objective.kind"] != "bottleneck")
    return named.where(plain, "")


def _capacities(trials: pd.DataFrame) -> "pd.Series[str]":
    """The baseline by its width and what it was taught."""
    labels = trials["split.labels"].map(lambda each: "true" if each == "true" else "random")
    name = "W=" + trials["network.width"].astype(str) + ", " + labels + " labels"
    baseline = (trials["network.depth"] == 1) & (trials["network.pointwise"] == 1)
    plain = (trials["objective.kind"] == "cross_entropy") & (trials["augment.transform"] == "none")
    return name.where(baseline & plain, "")


PUBLISHED: dict[str, Published] = {
    "vib_table3": Published(
        network="vib_cnn",
        # their Audio-MNIST is the Free Spoken Digit Dataset: the features in their code are of it;
        # their TUT, of 4680 clips, is the development part
        datasets={
            "AudioMNIST": "fsdd",
            "ESC-50": "esc50",
            "TESS": "tess",
            "TUT": "tut2017_development",
        },
        kin={"audiomnist": "fsdd", "esc10": "esc50", "tut2017": "tut2017_development"},
        models=_vib_models,
        among=BOTTLENECK,
        study="vib_table_esc10",
    ),
    "consistency_table1": Published(
        network="vgg9",
        datasets={"ESC-50": "esc50"},
        kin={"esc10": "esc50"},
        models=_consistency_models,
        among={},
        study="consistency_table_esc10",
    ),
    "random_labels_section4": Published(
        network="cp_resnet",
        datasets={"TAU 2020 Mobile": "tau2020_mobile"},
        kin={"esc10": "tau2020_mobile"},
        models=_capacities,
        among={},
        study="random_labels_esc10",
        off=OFF,
        split="train_clean",
        sizes=True,
    ),
}


def numbers(name: str) -> pd.DataFrame:
    """The numbers of a table of PUBLISHED, in its order.

    Columns: published_for (our name of the dataset), model, split.fraction, metric, published,
    standard_error (fractions; nan where none is published). Raises ValueError for no such table.
    """
    paper = table(name)
    file = resources.files("analysis") / "published" / f"{name}.csv"
    with file.open(encoding="utf-8") as lines:
        wide = pd.read_csv(lines)
    about = pd.DataFrame(
        {
            "published_for": wide["dataset"].map(dict(paper.datasets)),
            "model": wide["model"],
            "split.fraction": wide["fraction"],
        }
    )
    frames = [
        about.assign(
            metric=metric,
            published=wide[metric],
            standard_error=wide.get(f"{metric}_error", float("nan")),
        )
        for metric in METRICS
        if metric in wide
    ]
    return pd.concat(frames).sort_index(kind="stable").reset_index(drop=True)


def table(name: str) -> Published:
    """The table of this name."""
    if name not in PUBLISHED:
        raise ValueError(f"table {name}: no such table{nearest(name, PUBLISHED)}")
    return PUBLISHED[name]


def told(name: str) -> str:
    """The accuracies of a table of PUBLISHED in words: `W=32, true labels: 99.99 %; ...`."""
    shares = numbers(name).query("metric == 'accuracy'")
    pairs = zip(shares["model"], shares["published"], strict=True)
    return "; ".join(f"{model}: {100 * share:.4g} %" for model, share in pairs)
