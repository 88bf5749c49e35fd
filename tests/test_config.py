import json
import re
from contextlib import suppress

import pandas as pd
import pytest

from scaling.part import RECORDED
from scaling.settings import Trial, changed, earlier_ids, explain, flat, leaves, unflat
from scaling.settings.recipes import RECIPES


def test_ids_never_change():
    """Else old records lose their trial. A recipe may be retuned; then its line here changes with
    it.
    """
    plain = Trial.model_validate(
        {
            "seed": 0,
            "sound": {
                "dataset": "esc10",
                "rate": 22050,
                "seconds": 5,
                "features": {"kind": "log_mel", "window": 2048, "hop": 512, "mels": 256},
            },
            "split": {"protocol": "folds", "fold": 1},
            "network": {"kind": "cp_resnet", "width": 32},
            "training": {"epochs": 3, "batch": 16, "rate": 0.001},
        }
    )
    assert plain.id == "637758ed35ec"
    assert changed(plain, {"network.damping": 0.99, "seed": 7}).id == "8d083c841e8b"


def test_id_is_content(trial: Trial):
    again = Trial.model_validate_json(trial.model_dump_json())
    assert again.id == trial.id
    assert (
        Trial.model_validate(json.loads(json.dumps(trial.model_dump(exclude_defaults=True)))).id
        == trial.id
    )


def test_stating_a_default_does_not_rename(trial: Trial):
    assert changed(trial, {"network.damping": 0.0, "split.validation_fold": None}).id == trial.id


STILL = {"augment.roll": 0, "augment.mixup": 0}
VIB_CNN = {"network.kind": "vib_cnn", "network.depth": 0, "network.pointwise": 0}
PASST = {**VIB_CNN, "network.kind": "passt", "network.width": 64, "sound.features.mels": 128}
PASST |= {"sound.features.hop": 100}
# stated as a record states it, its code is not looked for
OWN = {"network.kind": "my_net:Net", "network.source": "a" * 64}
OWN |= {"network.depth": 0, "network.pointwise": 0}
LOSS = {"objective.kind": "my_loss:focal", "objective.source": "a" * 64}
GAIN = {"augment.transform": "my_gain:gain", "augment.source": "a" * 64}
GAIN |= {"augment.transform_share": 0.5}
BANDS = {"sound.features.kind": "my_front:Bands", "sound.features.source": "a" * 64}
OWNED = ("objective", "augment", "sound.features")
PROTOTYPES = {"objective.kind": "prototypes", "objective.embedding": 9}
HEARD = {"microphones.train": ("a",), "microphones.share": 0.5}
CUT = {"pruning.kind": "static", "pruning.target": 9}
CQT = {"sound.features.kind": "cqt", "sound.features.window": 0, "sound.features.low": 99.0}
CHANNELS = {"pruning.kind": "channels", "pruning.keep": 0.5, "pruning.start": 1}
HE = {"network.initialization": "he"}
ITERATIVE = {"pruning.kind": "magnitude", "pruning.target": 9, "pruning.length": 1}
# another value for each field that has more than one; those absent here are numbers, which are
# raised
OTHER: dict[str, dict[str, object]] = {
    "sound.dataset": {"sound.dataset": "esc10"},
    "sound.features.kind": {"sound.features.kind": "perceptual"},
    "sound.features.high": {"sound.features.high": 7000.0},
    "sound.features.bins_per_octave": {**CQT, "sound.features.bins_per_octave": 24},
    "sound.features.gamma": {**CQT, "sound.features.kind": "vqt", "sound.features.gamma": 9.0},
    "sound.features.trainable": {"sound.features.trainable": "mel"},
    "split.protocol": {"split.protocol": "made_folds", "split.folds": 5},
    "split.folds": {"split.protocol": "made_folds", "split.folds": 6},
    "split.train_devices": {"split.train_devices": ("b",)},
    "split.validation_fold": {"split.validation_fold": 2},
    "network.initialization": {"network.initialization": "he"},
    "network.damping": {"network.damping": 0.5},
    "network.dropout": {"network.dropout": 0.5},
    "network.kind": VIB_CNN,
    "network.flatten": {**VIB_CNN, "network.flatten": True},
    "network.padding": {**VIB_CNN, "network.padding": "same"},
    "network.first_weights": {**VIB_CNN, "network.first_weights": "glorot"},
    "network.momentum": {**VIB_CNN, "network.kind": "vgg5", "network.momentum": 0.1},
    "network.input_norm": {
        **VIB_CNN,
        "network.kind": "vgg5",
        "network.input_norm": "time",
    },
    "network.parametrization": {"network.parametrization": "mup"},
    "network.base_width": {"network.parametrization": "mup", "network.base_width": 4},
    "network.normalization": {"network.normalization": "residual"},
    "training.sam": {"training.sam": 0.05},
    "training.adversarial": {"training.adversarial": 0.5},
    "training.sam_adaptive": {"training.sam": 0.05, "training.sam_adaptive": True},
    "augment.freq_mixstyle": {"augment.freq_mixstyle": 0.4},
    "augment.freq_mixstyle_alpha": {
        "augment.freq_mixstyle": 0.4,
        "augment.freq_mixstyle_alpha": 0.4,
    },
    "augment.freq_mixstyle_weights": {
        "augment.freq_mixstyle": 0.4,
        "augment.freq_mixstyle_weights": "batch",
    },
    "sound.features.preemphasis": {"sound.features.preemphasis": 0.97},
    "network.linear_embedding": {
        **VIB_CNN,
        "network.kind": "vggish",
        "network.linear_embedding": True,
    },
    "training.epsilon": {"training.epsilon": 1e-7},
    "training.optimizer": {"training.optimizer": "adamw"},
    "training.stepping": {"training.stepping": "epoch"},
    "training.weight_decay": {"training.weight_decay": 0.1},
    "training.penalty": {"training.penalty": 0.1},
    "training.final": {"training.final": 0.5},
    "training.decay": {"training.decay": 0.5},
    "augment.roll": {"augment.roll": 0.25},
    "evaluation.training_clips": {"evaluation.training_clips": True},
    "evaluation.disagreement": {"evaluation.disagreement": "mask"},
    "split.labels": {"split.labels": "uniform"},
    "split.fraction": {"split.fraction": 0.5},
    "split.by_chance": {"split.fraction": 0.5, "split.by_chance": True},
    "split.unseen": {"split.train_devices": ("a",), "split.unseen": "all"},
    "augment.transform": {"augment.transform": "pitch", "augment.transform_share": 0.5},
    "augment.transform_share": {"augment.transform": "pitch", "augment.transform_share": 1.0},
    **{
        f"objective.{name}": {"objective.kind": "bottleneck", "objective.latent": 9} | value
        for name, value in {
            "kind": {},
            "latent": {"objective.latent": 8},
            "beta": {"objective.beta": 0.1},
            "offset": {"objective.offset": 5.0},
        }.items()
    },
    **{
        f"objective.{name}": {
            "objective.kind": "consistency",
            "augment.transform": "mask",
            "objective.weight": 3,
            f"objective.{name}": 2,
        }
        for name in ("weight", "ramp")
    },
    "objective.copies": {
        "objective.kind": "consistency",
        "augment.transform": "mask",
        "objective.copies": 1,
    },
    **{
        f"objective.{name}": {
            "objective.kind": "distillation",
            "objective.teachers": ("0123456789ab",),
            f"objective.{name}": value,
        }
        for name, value in {
            "teachers": ("ba9876543210",),
            "label_weight": 0.5,
            "temperature": 3.0,
            "mean": "clips",
        }.items()
    },
    "objective.ensemble": {
        "objective.kind": "distillation",
        "objective.teachers": ("0123456789ab", "ba9876543210"),
        "objective.ensemble": 2,
    },
    "split.pairs_share": {"split.protocol": "pairs", "split.pairs_share": 0.5},
    "split.pairs_seed": {"split.protocol": "pairs", "split.pairs_seed": 1},
    "microphones.responses": {"microphones.responses": "mine", **HEARD},
    "microphones.ratio": {
        "microphones.ratio": 2.0,
        "microphones.threshold_db": -9.0,
        **HEARD,
    },
    "microphones.train": {"microphones.train": ("a",), "microphones.share": 0.5},
    "microphones.share": {"microphones.train": ("a",), "microphones.share": 1.0},
    "microphones.test": {"microphones.test": ("a",), "split.train_devices": ()},
    "microphones.compress_recorded": {
        "microphones.compress_recorded": True,
        "microphones.ratio": 2.0,
        "microphones.threshold_db": -9.0,
        **HEARD,
    },
    "microphones.threshold_db": {
        "microphones.threshold_db": -20.0,
        "microphones.ratio": 2.0,
        **HEARD,
    },
    **{
        f"pruning.{name}": {"pruning.kind": "static", "pruning.target": 9, f"pruning.{name}": value}
        for name, value in {
            "kind": "static",
            "target": 10,
            "initialization": "rescale",
            "density": "erk",
        }.items()
    },
    **{
        f"pruning.{name}": {**HE, "pruning.kind": kind, "pruning.target": 9, **more, **setting}
        for kind, name, value, more in (
            ("snip", "batches", 2, {}),
            ("grasp", "temperature", 1.0, {}),
            ("synflow", "iterations", 10, {}),
            ("rigl", "period", 10, {}),
            ("rigl", "fraction", 0.5, {}),
            ("rigl", "until", 0.5, {}),
            ("rewinding", "rewind", "rate", {"training.epochs": 4}),
            ("rewinding", "rewind_to", 2, {"training.epochs": 4}),
        )
        for setting in ({f"pruning.{name}": value},)
    },
    **{
        f"pruning.{name}": {**ITERATIVE, f"pruning.{name}": value}
        for name, value in {
            "schedule": "ramp",
            "start": 1,
            "length": 2,
            "score": "kernel",
            "guard": 0.5,
        }.items()
    },
    **{
        f"pruning.{name}": {**CHANNELS, f"pruning.{name}": value}
        for name, value in {
            "budget": "bytes",
            "keep": 0.25,
            "criterion": "l1",
            "ranking": "network",
            "round_to": 8,
            "penalty": 1e-4,
            "rounds": 2,
        }.items()
    },
    "pruning.limit": {**CHANNELS, "pruning.keep": 0.0, "pruning.limit": 9},
    "pruning.every": {
        **CHANNELS,
        "training.epochs": 9,
        "pruning.rounds": 2,
        "pruning.every": 2,
    },
    "pruning.rate": {**ITERATIVE, "pruning.schedule": "saturating", "pruning.rate": 2.0},
    "training.decay_every": {"training.decay": 0.5, "training.decay_every": 2},
    "pruning.target_width": {"pruning.kind": "static", "pruning.target_width": 2},
    **{
        f"objective.{name}": {
            **PROTOTYPES,
            "network.initialization": "he",
            f"objective.{name}": value,
        }
        for name, value in {
            "embedding": 7,
            "support": 3,
            "distance": "cosine",
            "queries": 5,
        }.items()
    },
    "network.multiplier": {
        **VIB_CNN,
        "network.kind": "cp_mobile",
        "network.width": 8,
        "network.multiplier": 2.0,
    },
    "network.expansion": {
        **VIB_CNN,
        "network.kind": "cp_mobile",
        "network.width": 8,
        "network.expansion": 2.0,
    },
    "network.bands": {**VIB_CNN, "network.kind": "bc_resnet", "network.bands": 4},
    "sound.features.fft": {"sound.features.fft": 4096},
    "network.source": {**OWN, "network.source": "b" * 64},
    "network.options": {**OWN, "network.options": ("hidden=9",)},
    **{f"{part}.source": {**LOSS, **GAIN, **BANDS, f"{part}.source": "b" * 64} for part in OWNED},
    **{f"{part}.options": {**LOSS, **GAIN, **BANDS, f"{part}.options": ("a=1",)} for part in OWNED},
    "sound.source": {"sound.dataset": "my_birds:DATASET", "sound.source": "a" * 64},
    "sound.options": {
        "sound.dataset": "my_birds:birds",
        "sound.source": "a" * 64,
        "sound.options": ("folds=3",),
    },
    "sound.classes": {"sound.classes": ("a", "b")},
    "sound.fill": {"sound.fill": "tile"},
    "evaluation.patch_hop": {"sound.patch": 8, "evaluation.patch_hop": 4},
    "evaluation.patch_votes": {"sound.patch": 8, "evaluation.patch_votes": "votes"},
    "training.partial": {"training.partial": True},
    "training.patience_counts": {"training.patience": 3, "training.patience_counts": "all"},
    "transfer.trial": {"transfer.trial": "0123456789ab"},
    "transfer.weights": {
        **VIB_CNN,
        "network.kind": "vggish",
        "transfer.weights": "vggish.pth",
    },
    "transfer.rate": {"transfer.trial": "0123456789ab", "transfer.rate": 0.5},
    "transfer.last_layer": {"transfer.trial": "0123456789ab", "transfer.last_layer": "kept"},
    "transfer.device": {"transfer.trial": "0123456789ab", "transfer.device": "a"},
    "transfer.frozen": {"transfer.trial": "0123456789ab", "transfer.frozen": True},
    "network.stride": {**PASST, "network.stride": 16},
    **{
        f"network.{name}": {**PASST, f"network.{name}": value}
        for name, value in {
            "blocks": 2,
            "longest": 999,
            "patchout_bands": 1,
            "patchout_frames": 1,
        }.items()
    },
}


@pytest.mark.parametrize("name", sorted(leaves()))
def test_every_field_counts(trial: Trial, name: str):
    """Whatever can be set is part of the id."""
    changes = OTHER.get(name) or {name: flat(trial)[name] + 1}
    without = {other: value for other, value in changes.items() if other != name}
    before = trial
    with suppress(ValueError):  # some cannot do without it
        before = changed(trial, without)
    assert changed(trial, changes).id != before.id


def test_networks_and_their_own_settings_count(trial: Trial):
    own = [{}, {"network.flatten": True}, {"network.padding": "same"}]
    own += [{"network.kind": kind} for kind in ("vgg9", "sb_cnn", "vgg5", "timbre", "vggish")]
    modern = ("cp_mobile", "dcase_baseline", "tf_sepnet", "bc_resnet")
    own += [{"network.kind": kind, "network.width": 8} for kind in modern]
    own += [{"network.kind": "vgg5", "network.input_norm": "time"}]
    own += [{"network.kind": "vggish", "network.linear_embedding": True}]
    ids = {changed(trial, {**VIB_CNN, **each}).id for each in own}
    assert len(ids | {trial.id}) == len(own) + 1


def test_a_manifest_row_is_its_trial(trial: Trial):
    changes = {"split.train_devices": ("a", "b"), "pruning.kind": "static", "pruning.target": 9}
    varied = changed(trial, changes)
    assert unflat(flat(varied) | {"trial": "?", "macs": 1}).id == varied.id
    young = {"pruning.kind", "split.labels"}
    older = {name: value for name, value in flat(trial).items() if name not in young}
    assert unflat(older).id == trial.id
    both = pd.DataFrame([flat(varied), flat(trial)])
    assert [unflat(row).id for _, row in both.iterrows()] == [varied.id, trial.id]
    whole = both.convert_dtypes()
    assert [unflat(row).id for _, row in whole.iterrows()] == [varied.id, trial.id]
    with pytest.raises(ValueError, match="sound: missing"):
        unflat({"seed": 0})


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"pruning.kind": "static"}, "exactly one of the two must be above 0"),
        ({"pruning.start": 3}, "kind=none has no start, only magnitude and channels have"),
        (
            {"pruning.kind": "static", "pruning.target_width": 4096},
            "target_width=4096 is above network.width",
        ),
        (
            {"pruning.kind": "magnitude", "pruning.target": 9, "pruning.length": 5000},
            "must end before training.epochs",
        ),
        ({"microphones.test": "a,a"}, "test names a twice"),
        ({"microphones.train": "a"}, "set both or neither"),
        (
            {"microphones.test": "a", "microphones.train": "a", "microphones.share": 1},
            "a is named in train and in test",
        ),
        ({"split.pairs_seed": 3}, "only protocol=pairs"),
        (
            {"network.flatten": True},
            "^network.flatten=true changes nothing: .*kind=cp_resnet has no flatten, only vib_cnn",
        ),
        (
            {"network.padding": "same"},
            "^network.padding=same .*kind=cp_resnet has no padding",
        ),
        (
            {**VIB_CNN, "network.depth": 1},
            "^network.depth=1 .*kind=vib_cnn has no depth, only cp_resnet has; leave it at 0$",
        ),
        (
            {**VIB_CNN, "network.kind": "vgg9", "network.pointwise": 2},
            "^network.pointwise=2 .*kind=vgg9 has no pointwise, only cp_resnet has; leave it at",
        ),
        (
            {**VIB_CNN, "network.initialization": "he"},
            "^network.initialization=he .*vib_cnn has no initialization, .*; leave it at fixup$",
        ),
        ({**VIB_CNN, "network.kind": "vgg9", "network.flatten": True}, "vgg9 has no flatten"),
        (
            {"objective.beta": 0.1},
            "beta=0.1 .*kind=cross_entropy has no beta, only bottleneck has",
        ),
        ({"objective.kind": "bottleneck"}, "kind=bottleneck needs latent to be 1 or more, not 0"),
        ({"objective.kind": "consistency"}, "compares views of a clip: augment.transform=none"),
        ({"augment.transform": "pitch"}, "set both or neither"),
        ({"sound.patch": 100_000}, "patch=100000 frames: a clip of seconds=1 has"),
        ({"sound.classes": "a"}, "a classifier needs at least two classes"),
        ({"evaluation.patch_hop": 1}, "need sound.patch to be above 0"),
        ({"sound.patch": 8, "evaluation.patch_hop": 9}, "leaves frames out between patches"),
        ({"split.clips_per_class": 1, "split.fraction": 0.5}, "set one of them"),
        ({"transfer.rate": 0.5}, "nothing is taken over"),
        ({"transfer.weights": "x.pth"}, "public weights of .*mn, passt, none of cp_resnet"),
        (PROTOTYPES, "begins at zero, where all prototypes are one: network.initialization=he"),
        (
            {**VIB_CNN, "network.kind": "timbre", "transfer.trial": "0123456789ab"},
            "timbre is one layer, which is new in every trial",
        ),
        ({"objective.kind": "neighbours", **STILL}, "name one of them"),
        ({**VIB_CNN, "network.kind": "mfcc"}, "trains nothing: set objective.kind=neighbours"),
    ],
)
def test_what_does_not_fit_together(trial: Trial, changes: dict[str, object], line: str):
    with pytest.raises(ValueError, match=line):
        changed(trial, changes)


def test_text_is_understood(trial: Trial):
    new = changed(
        trial,
        {
            "network.width": "64",
            "split.train_devices": "a,b",
            "split.validation_fold": "2",
            "evaluation.training_clips": "true",
        },
    )
    assert new.network.width == 64
    assert new.split.train_devices == ("a", "b")
    assert new.split.validation_fold == 2
    assert new.evaluation.training_clips
    assert changed(new, {"split.validation_fold": "null"}).split.validation_fold is None


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"network.widht": 3},
            r"^network.widht: no such setting \(did you mean network.width\?\)$",
        ),
        ({"width": 3}, r"^width: no such setting \(did you mean network.width\?\)$"),
        (
            {"network.width": "0"},
            r"^network.width=0: must be at least 1$",
        ),
        ({"network.width": "wide"}, r"^network.width='wide': write a whole number, as 1000$"),
        (
            {"network.kind": "resnet"},
            r"^network.kind=.resnet.: must be .cp_resnet.* or .+ \(did you mean cp_resnet\?\)$",
        ),
        ({"network.dropout": 1}, r"^network.dropout=1: must be below 1$"),
        ({"network.damping": 1.5}, r"^network.damping=1.5: must be at most 1$"),
        ({"training.rate": float("nan")}, r"^training.rate=nan: .*finite number$"),
        ({"training.warmup": 3}, r"^training: warmup=3 must be shorter than epochs=3$"),
        ({"split.validation_fold": 1}, r"validation_fold=1 is the test fold"),
        ({"split.protocol": "made_folds"}, r"need folds >= 2, the others take none"),
        ({"augment.roll": 2}, r"augment.roll=2 s must not exceed sound.seconds=1$"),
        ({"sound.features.high": 9000}, r"high=9000 must satisfy low < high <= 8000 Hz"),
        ({"sound.seconds": 0.01}, r"seconds=0.01 is 160 samples, but a window of 512 needs more"),
    ],
)
def test_mistakes_get_one_line(trial: Trial, changes: dict[str, object], line: str):
    with pytest.raises(ValueError, match=line) as caught:
        changed(trial, changes)
    assert "\n" not in str(caught.value)


def test_several_mistakes_are_counted(trial: Trial):
    with pytest.raises(ValueError, match=r"^network.width=0: .*\(and 1 more\)$"):
        changed(trial, {"network.width": 0, "network.depth": -1})


def test_extra_field_in_a_file(trial: Trial):
    raw = trial.model_dump() | {"sede": 3}
    with pytest.raises(ValueError, match="sede") as caught:
        Trial.model_validate(raw)
    assert re.fullmatch(r"sede: no such setting \(did you mean seed\?\)", explain(caught.value))  # type: ignore[arg-type]


def test_flat_and_leaves_agree(trial: Trial):
    assert list(flat(trial)) == list(leaves())


def test_sizes_of_the_paper():
    sound = RECIPES["esc10"].sound
    ten = sound.model_copy(update={"seconds": 10.0})
    assert ten.samples == 220_500
    assert ten.shape == (256, 431)


def test_trials_are_frozen(trial: Trial):
    with pytest.raises(ValueError, match="frozen"):
        trial.seed = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"pruning.kind": "static", "pruning.target": 9, "pruning.guard": 0.5},
            "pruning.guard=0.5",
        ),
        (
            {"pruning.kind": "static", "pruning.target": 9, "pruning.score": "kernel"},
            "score=kernel",
        ),
        ({"pruning.kind": "static", "pruning.target": 9, "pruning.schedule": "ramp"}, "=ramp"),
        ({**ITERATIVE, "pruning.initialization": "rescale"}, "pruning.initialization=rescale"),
        ({**ITERATIVE, "pruning.rate": 2.0}, "pruning.rate=2.0 .*only saturating has"),
        ({"pruning.length": 9}, "pruning.length=9 .*kind=none has no length, only magnitude"),
        ({"training.decay_every": 3}, "training.decay_every=3 changes nothing: decay=1 never"),
        ({"training.patience_counts": "all"}, "patience_counts=all"),
        ({"microphones.threshold_db": -20.0, **HEARD}, "threshold_db=-20.0 .*compresses nothing"),
        ({"microphones.ratio": 3.0}, "microphones.ratio=3.0 changes nothing: no microphone"),
        ({"microphones.ratio": 3.0, **HEARD}, "microphones.ratio=3.0 .*threshold_db=0 is"),
        ({"microphones.responses": "mine"}, "microphones.responses=mine"),
        ({"split.by_chance": True}, "split.by_chance=true"),
        ({"split.train_devices": (), "split.unseen": "all"}, "split.unseen=all"),
        ({"split.pairs_seed": 1}, "split.pairs_seed=1 .*only protocol=pairs"),
        (
            {"objective.kind": "consistency", "augment.transform": "mask", "objective.ramp": 2},
            "ramp",
        ),
        (
            {
                "objective.kind": "consistency",
                "augment.transform": "mask",
                "augment.transform_share": 0.5,
            },
            "augment.transform_share=0.5 changes nothing: objective.kind=consistency",
        ),
        ({"transfer.rate": 0.5}, "transfer.rate=0.5"),
        ({"objective.kind": "neighbours", "transfer.trial": "0" * 12}, "augment.roll=0.5"),
    ],
)
def test_what_changes_nothing_is_refused_by_name(
    trial: Trial, changes: dict[str, object], line: str
):
    with pytest.raises(ValueError, match=f"{line}.* leave it at ") as caught:
        changed(trial, changes)
    assert "\n" not in str(caught.value)


def test_records_of_settings_that_change_nothing_stay_readable(trial: Trial):
    """An earlier version took them: such a row is that trial, with the id that it was given."""
    idle = {**trial.model_dump(), "training": trial.training.model_dump() | {"decay_every": 7}}
    earlier = Trial.model_validate(idle, context=RECORDED)
    assert earlier.id != trial.id
    assert unflat(flat(earlier)).id == earlier.id


def test_a_revision_renames_the_trials_that_it_concerns_and_no_other(trial: Trial):
    exact = changed(trial, {"split.fraction": 0.5})
    assert exact.id == "0c7e0d9e3e2d"
    assert earlier_ids(exact) == ["35712e81679d"]
    assert earlier_ids(trial) == []
    assert earlier_ids(changed(exact, {"split.by_chance": True})) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("seed", "1_000"),
        ("seed", "\u0667"),
        ("seed", " 7"),
        ("seed", "7.0"),
        ("seed", "1e3"),
        ("seed", "9" * 400),
        ("training.rate", "1_0.5"),
        ("training.rate", "nan"),
        ("training.rate", "inf"),
        ("training.rate", "1e9999"),
        ("training.partial", "yes"),
        ("training.partial", "1"),
        ("split.validation_fold", "\u0661"),
    ],
)
def test_numbers_are_taken_only_as_they_are_usually_written(trial: Trial, name: str, text: str):
    with pytest.raises(ValueError, match=f"^{name}=.*: write ") as caught:
        changed(trial, {name: text})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b", ("a", "b")),
        ("", ()),
        ('"dog, barking",cat', ("dog, barking", "cat")),
        ('"a ""quoted"" name",b', ('a "quoted" name', "b")),
    ],
)
def test_names_in_lists_may_be_quoted(trial: Trial, text: str, words: tuple[str, ...]):
    made = changed(trial, {"sound.classes": text})
    assert made.sound.classes == words
    assert flat(made)["sound.classes"] == text
    assert unflat(flat(made)) == made


def test_a_quote_that_does_not_end_is_told(trial: Trial):
    with pytest.raises(ValueError, match=r"^sound.classes='\"dog,cat': .*quote as in CSV"):
        changed(trial, {"sound.classes": '"dog,cat'})
