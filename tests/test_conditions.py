"""analysis.conditions: an objective is one short phrase, and what follows from it is not said."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pytest
from test_analysis_table import plan, results, trial

from analysis import reading
from analysis.conditions import OBJECTIVE, TRANSFERRED, labels, words
from scaling.results.records import Results

__all__ = ["results"]  # the fixture

DROPOUT = {"network__dropout": 0.2}
DECAY = {"training__weight_decay": 1e-4}
SHARE = "augment__transform_share"
PITCH = {"augment__transform": "pitch"}
REVERB = {"augment__transform": "reverb"}
AUGMENTED = PITCH | {SHARE: 0.5}
BATCHED = PITCH | {"objective__kind": "consistency"}
CONSISTENT = BATCHED | {"objective__weight": 5, "objective__ramp": 10}


def bottleneck(latent: int = 20, beta: float = 0.005, **more: Any) -> dict[str, Any]:
    """The changes that make a bottleneck."""
    kind = {"objective__kind": "bottleneck", "objective__latent": latent, "objective__beta": beta}
    return kind | more


def said(
    results: Results, changes: Sequence[Mapping[str, Any]], but: Sequence[str] = ()
) -> list[str]:
    """The words of each of these trials."""
    trials = [trial(**change) for change in changes]
    plan(results, "launch", trials)
    frame = reading.manifest(results)
    named = dict(zip(frame["trial"], words(frame, but), strict=True))
    return [named[one.id] for one in trials]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([{}, {"seed": 1}], ["", ""]),
        ([{}, DROPOUT, DECAY, bottleneck()],
         ["cross-entropy", "dropout 0.2", "weight decay 0.0001", "bottleneck"]),
        ([{}, DROPOUT, DROPOUT | {"network__dropout": 0.5}],
         ["cross-entropy", "dropout 0.2", "dropout 0.5"]),
        ([DROPOUT, DROPOUT | bottleneck()], ["cross-entropy", "bottleneck"]),
        ([DROPOUT | DECAY, {}, DROPOUT | bottleneck()],
         ["dropout 0.2, weight decay 0.0001", "cross-entropy", "bottleneck, dropout 0.2"]),
        ([{}, bottleneck(), bottleneck(beta=0.02)],
         ["cross-entropy", "bottleneck beta=0.005", "bottleneck beta=0.02"]),
        ([bottleneck(), bottleneck(latent=50, beta=0.02)],
         ["bottleneck K=20 beta=0.005", "bottleneck K=50 beta=0.02"]),
        ([bottleneck(), bottleneck(objective__offset=5), {}],
         ["bottleneck, offset=0", "bottleneck, offset=5", "cross-entropy"]),
        ([{}, AUGMENTED, BATCHED, CONSISTENT],
         ["plain", "augmented", "batched", "consistency"]),
        ([{}, AUGMENTED, AUGMENTED | REVERB, BATCHED | REVERB, CONSISTENT],
         ["plain", "augmented pitch", "augmented reverb", "batched reverb", "consistency pitch"]),
        ([AUGMENTED, AUGMENTED | {SHARE: 1}],
         ["augmented, transform_share=0.5", "augmented, transform_share=1"]),
        ([CONSISTENT, CONSISTENT | {"objective__weight": 7.5}, BATCHED],
         ["consistency, weight=5", "consistency, weight=7.5", "batched"]),
        ([CONSISTENT, CONSISTENT | {"objective__ramp": 0}, BATCHED],
         ["consistency, ramp=10", "consistency, ramp=0", "batched"]),
        ([AUGMENTED | bottleneck(), bottleneck(), {}],
         ["bottleneck, augmented", "bottleneck", "plain"]),
        ([DROPOUT, {}, AUGMENTED, AUGMENTED | DROPOUT],
         ["dropout 0.2", "plain", "augmented", "augmented, dropout 0.2"]),
        ([{"split__fraction": f} for f in (0.05, 0.07, 0.3, 1)],
         [f"{percent} % of the clips" for percent in (5, 7, 30, 100)]),
        ([DROPOUT | {"split__fraction": 0.3}, {}],
         ["dropout 0.2, 30 % of the clips", "cross-entropy, 100 % of the clips"]),
        ([{"network__initialization": "he"}, {}], ["he", "fixup"]),
    ],
)  # fmt: skip
def test_words(results: Results, changes: list[dict[str, Any]], expected: list[str]) -> None:
    assert said(results, changes) == expected


def test_what_follows_from_the_objective_is_not_said(results: Results) -> None:
    short = {"training__batch": 8, "evaluation__disagreement": "pitch"}
    changes = [{}, {"seed": 1}, CONSISTENT | short, CONSISTENT | short | {"seed": 1}]
    assert said(results, changes) == ["plain", "plain", "consistency", "consistency"]


def test_what_varies_within_one_objective_is_said_of_all(results: Results) -> None:
    assert said(results, [{}, {"training__batch": 8}, CONSISTENT]) == [
        "plain, batch=16", "plain, batch=8", "consistency, batch=16",
    ]  # fmt: skip


def test_how_long_and_how_fast_is_said_even_so(results: Results) -> None:
    assert said(results, [{}, CONSISTENT | {"training__epochs": 9}]) == [
        "plain, epochs=3", "consistency, epochs=9",
    ]  # fmt: skip


def test_when_training_ends(results: Results) -> None:
    """What holds for patience alone is not said of those that have none."""
    patient = {"training__patience": 20, "training__epochs": 200}
    counting = {"training__patience_counts": "all"}
    fixed = [{}, {"training__epochs": 9}]
    assert said(results, [*fixed, patient, patient | counting]) == [
        "fixed, epochs=3", "fixed, epochs=9",
        "patience, counting consecutive", "patience, counting all",
    ]  # fmt: skip


def test_only_how_long(results: Results) -> None:
    assert said(results, [{}, {"training__epochs": 9}]) == ["epochs=3", "epochs=9"]


def test_an_objective_without_words_of_its_own_is_named(results: Results) -> None:
    plan(results, "launch", [trial(), trial(**DROPOUT)])
    frame = reading.manifest(results).sort_values("network.dropout")
    kinds = ["prototypes", "cross_entropy"]
    assert list(words(frame.assign(**{"objective.kind": kinds}))) == ["prototypes", "dropout 0.2"]


def test_options_of_own_parts_are_said_and_sources_are_short(results: Results) -> None:
    plan(results, "launch", [trial(), trial(**DROPOUT)])
    frame = (
        reading.manifest(results).sort_values("network.dropout").assign(**{"network.dropout": 0})
    )
    own = frame.assign(**{"network.options": ["", "hidden=8"], "network.source": ["", "12" * 32]})
    assert list(words(own)) == [
        "network.source=(empty), default network.options", "network.source=121212121212, hidden=8",
    ]  # fmt: skip
    read = {"network.kind": ["vgg5", "vgg9"], "sound.options": ["folds=3", "folds=4"]}
    assert list(words(frame.assign(**read))) == ["vgg5, folds=3", "vgg9, folds=4"]


def test_a_fraction_stands_behind_the_objective(results: Results) -> None:
    few = {"split__fraction": 0.3}
    assert said(results, [few, {}, few | DROPOUT, DROPOUT]) == [
        "cross-entropy, 30 % of the clips", "cross-entropy, 100 % of the clips",
        "dropout 0.2, 30 % of the clips", "dropout 0.2, 100 % of the clips",
    ]  # fmt: skip


def test_no_two_objectives_have_one_phrase(results: Results) -> None:
    changes = [{}, DROPOUT, DECAY, DROPOUT | DECAY, AUGMENTED, AUGMENTED | REVERB, BATCHED,
               AUGMENTED | {SHARE: 1}, CONSISTENT, CONSISTENT | {"objective__weight": 7},
               CONSISTENT | {"objective__ramp": 1}, bottleneck(), bottleneck(50),
               bottleneck(50, objective__offset=5), bottleneck(50) | DROPOUT,
               bottleneck(50, 0.02), bottleneck() | AUGMENTED]  # fmt: skip
    assert len(set(said(results, changes))) == len(changes)


def test_settings_may_be_left_out(results: Results) -> None:
    changes = [{}, bottleneck(), bottleneck(50), bottleneck(50, 0.02) | DROPOUT]
    assert said(results, changes, ["objective.beta", "network.dropout"]) == [
        "cross-entropy", "bottleneck K=20", "bottleneck K=50", "bottleneck K=50",
    ]  # fmt: skip
    assert said(results, changes, OBJECTIVE) == [""] * 4


def test_what_follows_from_the_front_end_is_not_said(results: Results) -> None:
    kind = "sound__features__kind"
    mel = {kind: "log_mel"}
    cqt = {kind: "cqt", "sound__features__window": 0, "sound__features__low": 100}
    assert said(results, [mel, cqt]) == ["log-mel", "cqt"]
    fine = mel | {"sound__features__hop": 128}
    assert said(results, [mel, fine, cqt]) == [
        "log-mel, hop=256", "log-mel, hop=128",
        "cqt, hop=256",
    ]  # fmt: skip


def test_of_many_settings_those_that_are_off_are_not_named():
    """What belongs to one that is off is not named either; of few settings each is."""
    on = {
        "augment.freq_mixstyle": [0.0, 0.8, 0.0],
        "augment.freq_mixstyle_alpha": [0.3, 0.4, 0.3],
        "augment.band_mask": [0, 0, 48],
        "training.sam": [0.0, 0.0, 0.05],
        "network.normalization": ["none", "residual", "none"],
    }
    few = {"augment.band_mask": on["augment.band_mask"]}
    alike = {"network.kind": "cp_resnet", TRANSFERRED: False}
    frame = pd.DataFrame(on).assign(**alike)
    assert [*labels(frame)] == [
        "cp_resnet",
        "normalization=residual, freq_mixstyle=0.8, freq_mixstyle_alpha=0.4",
        "sam=0.05, band_mask=48",
    ]
    frame = pd.DataFrame(few).assign(**alike)
    assert [*labels(frame)] == ["band_mask=0", "band_mask=0", "band_mask=48"]
