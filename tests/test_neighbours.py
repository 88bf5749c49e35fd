"""Nearest neighbours: MFCC as librosa computes them, distances worked out by hand, trials that
train nothing.
"""

from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import soxr
import torch
from sklearn.neighbors import KNeighborsClassifier

from scaling import machine
from scaling.networks.modules.output import Output, described
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.settings import Trial, changed
from scaling.sound.store import Store
from scaling.training import classifier
from scaling.training.inputs import Listener
from scaling.training.methods import run
from scaling.training.neighbours import RATE, mfcc_statistics, nearest

LABELS = {"0": 0, "1": 1, "10": 2, "11": 3, "12": 4, "20": 5, "21": 6, "38": 7, "40": 8, "41": 9}


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples)


def by_librosa(wave_T: np.ndarray) -> np.ndarray:
    """The judge: the paper's recipe with librosa's own functions, at 12 kHz."""
    wave_T = np.pad(wave_T.astype(np.float64), (0, max(0, 1024 - len(wave_T))))
    spectrum = librosa.stft(
        np.pad(wave_T, 1024, mode="reflect"), n_fft=2048, hop_length=512, center=False
    )
    mel_FN = librosa.feature.melspectrogram(S=np.abs(spectrum) ** 2, sr=12_000, n_mels=128)
    mfcc_MN = librosa.feature.mfcc(S=librosa.power_to_db(mel_FN, top_db=80), n_mfcc=20)
    delta_MN = mfcc_MN[:, 1:] - mfcc_MN[:, :-1]
    second_MN = delta_MN[:, 1:] - delta_MN[:, :-1]
    return np.concatenate(
        [part for m in (mfcc_MN, delta_MN, second_MN) for part in (m.mean(axis=1), m.std(axis=1))]
    )


# MFCC


def test_padding_beforehand_is_librosas_reflection():
    wave_T = noise(5000)
    whole = librosa.stft(wave_T, n_fft=2048, hop_length=512, pad_mode="reflect")
    padded = np.pad(wave_T, 1024, mode="reflect")
    assert np.abs(librosa.stft(padded, n_fft=2048, hop_length=512, center=False) - whole).max() == 0


def test_real_clips_equal_librosa(esc10: Path):
    for path in sorted((esc10 / "audio").iterdir())[::40]:
        samples, rate = soundfile.read(path, dtype="float32")
        wave_T = soxr.resample(samples.astype(np.float64), rate, RATE)
        expected = by_librosa(wave_T)
        for given, its_rate in ((samples, rate), (wave_T, RATE)):
            found = mfcc_statistics([given], its_rate)
            assert found.shape == (1, 120)
            np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("samples", [1, 660, 1023, 1024, 1025, 1535, 1536, 2047, 2048, 6000])
def test_clips_of_any_length_equal_librosa(samples: int):
    wave_T = noise(samples)
    found = mfcc_statistics([wave_T], RATE)[0]
    np.testing.assert_allclose(found, by_librosa(wave_T), rtol=1e-4, atol=2e-3)
    if samples < 1024:
        longer_T = np.pad(wave_T, (0, 1024 - samples))
        assert (found == mfcc_statistics([longer_T], RATE)[0]).all()


def test_silence_is_its_floor():
    """-100 dB in every band: its transform is one number, and nothing changes with time."""
    (found,) = mfcc_statistics([np.zeros(3000)], RATE)
    assert found[0] == pytest.approx(-100 * np.sqrt(128), rel=1e-6)
    assert np.abs(found[1:]).max() < 1e-3


def test_loudness_moves_the_first_mean_only():
    """10 times the amplitude is 20 dB in every band; sqrt(128) is the orthonormal transform's."""
    quiet, loud = mfcc_statistics([noise(9000), 10 * noise(9000)], RATE)
    assert loud[0] - quiet[0] == pytest.approx(20 * np.sqrt(128), rel=1e-5)
    assert np.abs(loud[1:] - quiet[1:]).max() < 1e-3


def test_clips_do_not_touch_each_other():
    waves = [noise(3000), 5 * noise(700, 1), noise(9000, 2)]
    together = mfcc_statistics(iter(waves), RATE)
    assert (together == np.concatenate([mfcc_statistics([wave], RATE) for wave in waves])).all()
    assert mfcc_statistics([], RATE).shape == (0, 120)


@pytest.mark.parametrize("shape", [(0,), (2, 100)])
def test_waves_that_are_none(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"^wave 1 has the shape \(.*\): MFCC are taken of mono c"):
        mfcc_statistics([noise(100), np.zeros(shape)], RATE)


# Neighbours


def test_nearest_by_angle_and_by_distance():
    train = np.array([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    targets = np.array([7, 3, 5])
    test = np.array([[9.0, 1.0], [0.1, 0.4], [0.6, 0.5]])
    assert nearest(train, targets, test).tolist() == [7, 3, 5]
    assert nearest(train, targets, 1000 * test).tolist() == [7, 3, 5]
    assert nearest(train, targets, test, "euclidean").tolist() == [5, 3, 7]


def test_nearest_equals_a_loop():
    train, test = noise(40 * 6).reshape(40, 6), noise(25 * 6, 1).reshape(25, 6)
    targets = np.arange(40) % 7
    for metric, distance in (
        ("cosine", lambda a, b: 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)),
        ("euclidean", lambda a, b: np.linalg.norm(a - b)),
    ):
        looped = [targets[min(range(40), key=lambda i: distance(train[i], x))] for x in test]
        assert nearest(train, targets, test, metric).tolist() == looped
    assert nearest(train, targets, train).tolist() == targets.tolist()


def test_nearest_of_equals_is_the_first():
    train = np.ones((8, 4))
    assert nearest(train, np.array([4, 1, 0, 2, 3, 5, 6, 7]), np.ones((3, 4))).tolist() == [4] * 3
    zeros = np.zeros((2, 4))
    assert nearest(train, np.arange(8), zeros).tolist() == [0, 0]
    assert nearest(np.vstack([zeros, train]), np.arange(10), train[:1]).tolist() == [2]


def test_nearest_takes_what_there_is():
    assert nearest(np.ones((2, 3)), np.array([1, 2]), np.empty((0, 3))).shape == (0,)
    with pytest.raises(ValueError, match="no neighbours: there is no clip to train on"):
        nearest(np.empty((0, 3)), np.empty(0, dtype=int), np.ones((1, 3)))
    with pytest.raises(ValueError, match="1 of 2 rows of test are NaN or infinite"):
        nearest(np.ones((1, 2)), np.array([0]), np.array([[1.0, 2.0], [np.nan, 0.0]]))
    with pytest.raises(AssertionError, match="one class for each of train"):
        nearest(np.ones((2, 3)), np.array([1]), np.ones((1, 3)))


def test_real_sounds_are_nearest_to_their_kind(esc10: Path):
    """A few clips of each class of fold 1 against fold 2: well above the 10 % of chance."""

    def read(fold: int, each: int) -> tuple[np.ndarray, np.ndarray]:
        paths = sorted((esc10 / "audio").glob(f"{fold}-*.ogg"))
        chosen = [
            path
            for label in LABELS
            for path in [path for path in paths if path.stem.endswith(f"-{label}")][:each]
        ]
        waves = [soundfile.read(path, dtype="float32")[0][: 3 * 44_100] for path in chosen]
        targets = [LABELS[path.stem.rpartition("-")[2]] for path in chosen]
        return mfcc_statistics(waves, 44_100), np.array(targets)

    train, train_targets = read(1, 4)
    test, test_targets = read(2, 3)
    assert len(np.unique(train_targets)) == len(np.unique(test_targets)) == 10
    accuracy = (nearest(train, train_targets, test) == test_targets).mean()
    assert accuracy > 0.3
    assert (nearest(train, train_targets, train) == train_targets).all()


# In a trial


@pytest.fixture
def few(trial: Trial) -> Trial:
    """Three classes, four clips of each: fewer than a batch, which is nobody's business here."""
    settings = {
        "sound.classes": "field,kitchen,street",
        "split.clips_per_class": 4,
        "training.batch": 64,
        "network.initialization": "he",
    }
    return changed(trial, settings)


@pytest.fixture
def mfcc(few: Trial) -> Trial:
    none = {"network.kind": "mfcc", "network.depth": 0, "network.pointwise": 0}
    none |= {"augment.roll": 0, "augment.mixup": 0}
    he = {"network.initialization": "fixup"}
    return changed(few, {"objective.kind": "neighbours", **none, **he})


def by_neighbour(known: np.ndarray, targets: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The judge."""
    judge = KNeighborsClassifier(n_neighbors=1, metric="cosine", algorithm="brute")
    return np.asarray(judge.fit(known, targets).predict(asked))


def test_mfcc_of_whole_clips(mfcc: Trial, store: Store, here: machine.Machine):
    """Predictions of every held-out clip; one epoch, whatever is said of epochs."""
    (only,) = run(mfcc, store, here)
    assert only.last
    assert only.number == 1
    listener = Listener(mfcc, store, here)

    def summed(clips: np.ndarray) -> np.ndarray:
        return mfcc_statistics(store.batch(listener.at[clips], 16_000).numpy() / 32768, 16_000)

    train = listener.parts["train"]
    for split in ("seen", "unseen"):
        clips = listener.parts[split]
        expected = by_neighbour(summed(train), listener.targets[train], summed(clips))
        rows = [row for row in only.predictions if row.split == split]
        assert [row.predicted for row in rows] == [listener.labels[y] for y in expected]
        assert [row.clip for row in rows] == listener.rows(clips, -1)["clip"].tolist()
        odds = np.exp([row.logits for row in rows])
        assert np.sort(odds, axis=1) == pytest.approx(np.tile([0.5, 0.5, 1.0], (len(rows), 1)))
        right = np.mean([row.label == row.predicted for row in rows])
        assert ("accuracy", split, pytest.approx(right)) in [
            (row.metric, row.split, row.value) for row in only.metrics if row.device == "all"
        ]
    assert len({row.predicted for row in only.predictions}) > 1


def test_training_clips_are_their_own_neighbours(mfcc: Trial, store: Store, here: machine.Machine):
    """Also by labels that are random: they are those taught."""
    settings = {"evaluation.training_clips": True, "split.labels": "uniform"}
    (only,) = run(changed(mfcc, settings), store, here)
    own = [row for row in only.predictions if row.split == "train_clean"]
    assert len(own) == 12
    assert all(row.label == row.predicted for row in own)


def test_filled_clips_are_heard_in_their_own_length(
    mfcc: Trial, store: Store, here: machine.Machine
):
    """What stands behind a clip of one second, zeros or itself, is no part of its MFCC."""
    (whole,) = run(mfcc, store, here)
    for fill in ("zeros", "tile"):
        (longer,) = run(changed(mfcc, {"sound.seconds": 1.7, "sound.fill": fill}), store, here)
        for one, other in zip(whole.predictions, longer.predictions, strict=True):
            assert one.logits.tolist() == other.logits.tolist()


def test_embeddings_of_patches_vote(few: Trial, store: Store, here: machine.Machine):
    """What a network makes of each patch before its last layer, one by one; of equal votes the
    first class wins.
    """
    whole = {"split.clips_per_class": 0, "training.batch": 16, "sound.features.hop": 256}
    patches = {"sound.patch": 32, "evaluation.patch_hop": 10}
    first = changed(few, {**whole, **patches})
    *_, learned = run(first, store, here)
    compared = {"objective.kind": "neighbours", "transfer.trial": first.id}
    compared |= {"augment.roll": 0, "augment.mixup": 0}
    second = changed(few, {"sound.features.hop": 256, **patches, **compared})
    (only,) = run(second, store, here, source=learned.state["model"])
    network = classifier.network(first, 3, torch.Generator())
    prefix = "network."
    state = {n.removeprefix(prefix): v for n, v in learned.state["model"].items() if prefix in n}
    network.load_state_dict(state)
    network.eval()
    mean, std = (learned.state["model"][f"standardize.{name}_F"] for name in ("mean", "std"))
    listener = Listener(second, store, here)

    def embedded(clip: int) -> np.ndarray:
        features_FN = ((listener.features(np.array([clip])) - mean) / std)[0]
        parts = [features_FN[None, None, :, at : at + 32] for at in (0, 10, 20, 30)]
        with torch.inference_mode():
            return np.concatenate([network(p).features_BCFN.mean(dim=(2, 3)) for p in parts])

    train = listener.parts["train"]
    known = np.concatenate([embedded(clip) for clip in train])
    targets = np.repeat(listener.targets[train], 4)
    rows = [row for row in only.predictions if row.split == "unseen"]
    several = 0
    for clip, row in zip(listener.parts["unseen"], rows, strict=True):
        counts = np.bincount(by_neighbour(known, targets, embedded(clip)), minlength=3)
        expected = np.log(np.maximum(counts, 0.5) / 4)
        np.testing.assert_allclose(row.logits, expected, rtol=1e-5)
        assert row.predicted == listener.labels[counts.argmax()]
        several += counts.max() < 4
    assert several, "some patches differ"


def test_vggish_is_read_at_its_embedding():
    map_BCFN = torch.tensor([[[[1.0, 3.0]], [[0.0, -4.0]]]])
    assert described(Output(torch.zeros(1, 2), map_BCFN)).tolist() == [[2.0, -2.0]]
    own = torch.tensor([[7.0, 8.0, 9.0]])
    assert described(Output(torch.zeros(1, 2), map_BCFN, embedding_BE=own)) is own


def test_nothing_is_learned_that_could_be_saved(
    mfcc: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    results = Results(tmp_path)
    (told,) = run_trial(mfcc, store, here, results)
    assert (told.status, told.epoch) == ("complete", 1)
    assert told.accuracy is not None
    assert results.names("weights", ".safetensors") == []
    assert results.read("predictions").num_rows == 9 + 36
    (outcome,) = results.read("outcomes").to_pylist()
    assert (outcome["status"], outcome["epochs"]) == ("complete", 1)
    (again,) = run_trial(mfcc, store, here, results)
    assert again.status == "complete"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"objective.kind": "cross_entropy"},
            "^network.kind=mfcc trains nothing: set objective.kind=",
        ),
        (
            {"network.kind": "cp_resnet"},
            r"^objective.kind=neighbours compares MFCC \(network.kind=",
        ),
        ({"transfer.trial": "0123456789ab"}, "^objective.kind=neighbours compares MFCC .*name one"),
        ({"objective.beta": 0.1}, "beta=0.1 .*kind=neighbours has no beta, only bottleneck has"),
        (
            {"objective.embedding": 2},
            "embedding=2 .*kind=neighbours has no embedding, only prototypes has",
        ),
    ],
)
def test_neighbours_that_do_not_fit(mfcc: Trial, settings: dict[str, object], line: str):
    with pytest.raises(ValueError, match=line) as error:
        changed(mfcc, settings)
    assert "\n" not in str(error.value)
