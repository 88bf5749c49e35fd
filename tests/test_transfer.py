"""Transfer: what is taken over from another trial or from public weights, and how it learns on."""

import dataclasses
import io
from pathlib import Path

import pytest
import safetensors.torch
import torch
from helpers import timeless
from torch import Tensor
from typer.testing import CliRunner

from overhear.command import app
from scaling import machine
from scaling.networks.modules import vggish_weights
from scaling.results import transfer
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.seeds import torch_stream
from scaling.settings import Trial, changed
from scaling.sound import prepare, public_weights
from scaling.sound.datasets import scan
from scaling.sound.store import Store
from scaling.training import classifier
from scaling.training.methods import run
from sweeps.engine import ray_tune

LAST = ("network.classifier.", "network.classifier_norm.")


@pytest.fixture
def source(trial: Trial) -> Trial:
    """Three classes, two epochs."""
    settings = {
        "sound.classes": "field,kitchen,street",
        "split.clips_per_class": 6,
        "training.batch": 6,
        "training.epochs": 2,
        "training.warmup": 0,
        "network.initialization": "he",
        "augment.mixup": 0.0,
        "augment.roll": 0.0,
    }
    return changed(trial, settings)


@pytest.fixture
def target(source: Trial) -> Trial:
    """Two other classes, on what `source` learned; one step of all clips in an epoch."""
    settings = {
        "sound.classes": "garden,harbour",
        "split.clips_per_class": 3,
        "training.batch": 256,
        "training.partial": True,
        "training.optimizer": "sgd",
        "training.rate": 0.5,
        "training.final": 1.0,
        "training.stepping": "epoch",
        "transfer.trial": source.id,
    }
    return changed(source, settings)


@pytest.fixture
def results(source: Trial, store: Store, here: machine.Machine, tmp_path: Path) -> Results:
    """A folder in which the source is complete."""
    folder = Results(tmp_path / "results")
    *_, told = run_trial(source, store, here, folder)
    assert told.status == "complete"
    return folder


def weights(results: Results, trial: Trial) -> dict[str, Tensor]:
    saved = results.get("weights", f"{trial.id}.safetensors")
    assert saved is not None
    return safetensors.torch.load(saved)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """The state of every classifier before it is trained."""
    found: list[dict[str, Tensor]] = []
    real = classifier.of_trial

    def spying(*words):
        model, taken = real(*words)
        found.append({name: value.clone() for name, value in model.state_dict().items()})
        return model, taken

    monkeypatch.setattr(classifier, "of_trial", spying)
    return found


# From another trial


def test_all_but_the_last_layer_is_taken_over(
    source: Trial,
    target: Trial,
    results: Results,
    store: Store,
    here: machine.Machine,
    begun: list[dict[str, Tensor]],
):
    *_, told = run_trial(target, store, here, results)
    assert told.status == "complete"
    (state,) = begun
    learned = weights(results, source)
    fresh = classifier.network(target, 2, torch_stream(target.seed, "initialization")).state_dict()
    for name, value in state.items():
        if name.startswith(LAST):
            assert torch.equal(value, fresh[name.removeprefix("network.")]), name
        else:
            assert torch.equal(value, learned[name]), name
    assert sum(name.startswith(LAST) for name in state) == 6
    assert not torch.equal(state["network.stem.weight"], fresh["stem.weight"])
    assert not torch.equal(state["standardize.mean_F"], torch.zeros(1, 32, 1))
    after = weights(results, target)
    assert torch.equal(after["standardize.mean_F"], learned["standardize.mean_F"])
    assert not torch.equal(after["network.stem.weight"], learned["network.stem.weight"])


@pytest.mark.parametrize("factor", [0.5, 0.125])
def test_what_is_taken_over_learns_at_its_own_rate(
    target: Trial, results: Results, store: Store, here: machine.Machine, factor: float
):
    """One step of SGD: of one gradient, the new layer takes all, the others a share."""
    once = changed(target, {"training.epochs": 1})
    taken = transfer.source(once, results)
    assert taken is not None
    steps = []
    for rate in (1.0, factor):
        state = next(run(changed(once, {"transfer.rate": rate}), store, here, None, taken)).state
        began = classifier.network(once, 2, torch_stream(once.seed, "initialization"))
        steps.append({})
        for name, value in began.named_parameters():
            full = f"network.{name}"
            start = value.detach() if full.startswith(LAST) else taken[full]
            steps[-1][full] = state["model"][full] - start
    for name, step in steps[0].items():
        share = 1.0 if name.startswith(LAST) else factor
        assert torch.allclose(steps[1][name], share * step, rtol=1e-3, atol=1e-6), name
    moved = {name for name, step in steps[0].items() if step.abs().max() > 1e-3}
    assert {"network.stem.weight", "network.classifier.weight"} <= moved


def test_resumed_is_undisturbed(
    target: Trial, results: Results, store: Store, here: machine.Machine
):
    slow = changed(target, {"training.epochs": 3, "transfer.rate": 0.1, "training.rate": 0.05})
    slow = changed(slow, {"training.optimizer": "adam"})
    taken = transfer.source(slow, results)
    whole = timeless(run(slow, store, here, None, taken))
    for cut in (1, 2):
        epochs = run(slow, store, here, None, transfer.source(slow, results))
        saved = io.BytesIO()
        torch.save([next(epochs) for _ in range(cut)][-1].state, saved)
        state = torch.load(io.BytesIO(saved.getvalue()), weights_only=True)
        assert timeless(run(slow, store, here, state, taken)) == whole[cut:]


def test_a_killed_one_goes_on_in_its_folder(
    target: Trial, results: Results, store: Store, here: machine.Machine
):
    next(run_trial(target, store, here, results))
    *_, told = run_trial(target, store, here, results)
    assert (told.status, told.epoch) == ("complete", 2)
    (outcome,) = results.read("outcomes", [target.id]).to_pylist()
    assert outcome["epochs"] == 2
    recorded = results.read("metrics", [target.id]).to_pylist()
    direct = run(target, store, here, None, transfer.source(target, results))
    expected = [
        {"trial": target.id, "epoch": epoch, **row._asdict()}
        for epoch, rows, _ in timeless(direct)
        for row in rows
    ]
    assert [row for row in recorded if not row["metric"].endswith("_seconds")] == expected


HEADS = {
    "bottleneck": {"objective.kind": "bottleneck", "objective.latent": 3, "objective.beta": 1e-3},
    "prototypes": {"objective.kind": "prototypes", "objective.embedding": 3},
}


@pytest.mark.parametrize("before", [None, "bottleneck", "prototypes"])
@pytest.mark.parametrize("behind", [None, "bottleneck", "prototypes"])
def test_heads_stand_around_what_is_taken_over(
    source: Trial,
    target: Trial,
    store: Store,
    here: machine.Machine,
    tmp_path: Path,
    begun: list[dict[str, Tensor]],
    before: str | None,
    behind: str | None,
):
    results = Results(tmp_path)
    first = changed(source, HEADS.get(before or "", {}) | {"training.epochs": 1})
    settings = {"transfer.trial": first.id, "transfer.rate": 0.1, "training.epochs": 1}
    second = changed(target, HEADS.get(behind or "", {}) | settings)
    for each in (first, second):
        *_, told = run_trial(each, store, here, results)
        assert told.error is None
    learned = weights(results, first)
    state = begun[1]
    alike = {
        name
        for name, value in state.items()
        if name in learned
        and value.shape == learned[name].shape
        and torch.equal(value, learned[name])
    }
    taken = {name for name in state if not name.startswith((*LAST, "network.answer"))}
    assert taken <= alike
    kernels = {"network.classifier.weight", "network.answer.weight"}
    assert not kernels & alike, "the last layer and the head are new"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"network.width": 3},
            r"ValueError: transfer: network\.\S+ is \(.*\) here, {id} has \(.*\): name the",
        ),
        (
            {"network.depth": 2},
            r"transfer: network\.\S+ is \(.*\) here, {id} has none: name",
        ),
        (
            {"sound.features.mels": 40},
            r"transfer: standardize\.mean_F is \(1, 40, 1\) here, {id} h",
        ),
        (
            {"transfer.trial": "0123456789ab"},
            r"ValueError: transfer\.trial=0123456789ab: .*results has no weights of it: sweep it",
        ),
    ],
)
def test_what_cannot_be_taken_over_fails_in_one_line(
    source: Trial,
    target: Trial,
    results: Results,
    store: Store,
    here: machine.Machine,
    settings: dict[str, object],
    line: str,
):
    wrong = changed(target, settings)
    (told,) = run_trial(wrong, store, here, results)
    assert told.status == "failed"
    assert told.error is not None
    assert "\n" not in told.error
    with pytest.raises(AssertionError, match=line.format(id=source.id)):
        raise AssertionError(told.error)
    assert f"{wrong.id}" not in results.names("weights", ".safetensors")


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"transfer.trial": "xyz"}, "transfer.trial='xyz': string must match pattern"),
        (
            {"transfer.weights": "v.pth"},
            "transfer: trial=.* and weights=v.pth exclude each other: set",
        ),
        (
            {"transfer.trial": "", "transfer.weights": "v.pth"},
            "^transfer.weights=v.pth: there are public weights of network.kind=vggish, mn, passt, "
            "none of cp_resnet$",
        ),
        (
            {"transfer.trial": "", "transfer.rate": 0.5},
            "transfer.rate=0.5 changes nothing: nothing is taken over without trial or",
        ),
        (
            {"transfer.frozen": True, "transfer.rate": 0.5},
            "^transfer.rate=0.5 changes nothing: frozen=true learns nothing of what is taken over",
        ),
        (
            {"transfer.frozen": True, "pruning.kind": "static", "pruning.target": 9},
            "^transfer.frozen=true: pruning.kind=static cuts what would have to learn again",
        ),
    ],
)
def test_settings_that_do_not_fit(target: Trial, settings: dict[str, object], line: str):
    with pytest.raises(ValueError, match=line) as error:
        changed(target, settings)
    assert "\n" not in str(error.value)


# Public weights


@pytest.fixture
def vggish(trial: Trial) -> Trial:
    """A sixty-fourth of VGGish, on its own front end."""
    settings = {
        "sound.classes": "field,street",
        "sound.features.kind": "vggish",
        "sound.features.window": 400,
        "sound.features.hop": 160,
        "sound.features.mels": 64,
        "sound.features.low": 125.0,
        "sound.features.high": 7500.0,
        "sound.features.range_db": 0.0,
        "sound.patch": 96,
        "split.clips_per_class": 2,
        "network.kind": "vggish",
        "network.width": 1,
        "network.depth": 0,
        "network.pointwise": 0,
        "training.epochs": 1,
        "training.warmup": 0,
        "training.partial": True,
        "augment.mixup": 0.0,
        "augment.roll": 0.0,
        "transfer.weights": "small.pth",
        "transfer.rate": 0.1,
    }
    return changed(trial, settings)


@pytest.fixture
def public(vggish: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Random numbers in a file of the port's layout, below the data root."""
    network = vggish.network.build(2, torch_stream(8, "any"), size=(64, 96))
    found = {}
    for theirs, ours in vggish_weights.LAYERS.items():
        for kind in vggish_weights.KINDS:
            value = network.get_parameter(f"{ours}.{kind}").detach() + 0.01
            found[f"{theirs}.{kind}"] = value.transpose(2, 3) if value.ndim == 4 else value
    found = {name: value.contiguous() for name, value in found.items()}
    (tmp_path / "data" / "weights").mkdir(parents=True)
    torch.save(found, tmp_path / "data" / "weights" / "small.pth")
    monkeypatch.setenv("OVERHEAR_DATA", str(tmp_path / "data"))
    return found


def test_public_weights_are_taken_over(
    vggish: Trial,
    public: dict[str, Tensor],
    store: Store,
    here: machine.Machine,
    tmp_path: Path,
    begun: list[dict[str, Tensor]],
):
    """Turned as our axes are, behind no standardization; the layer of classes is a new one."""
    results = Results(tmp_path / "results")
    *_, told = run_trial(vggish, store, here, results)
    assert told.error is None
    (state,) = begun
    for theirs, ours in vggish_weights.LAYERS.items():
        value = public[f"{theirs}.weight"]
        turned = value.transpose(2, 3) if value.ndim == 4 else value
        assert torch.equal(state[f"network.{ours}.weight"], turned)
        assert torch.equal(state[f"network.{ours}.bias"], public[f"{theirs}.bias"])
    drawn = classifier.network(vggish, 2, torch_stream(vggish.seed, "initialization"))
    assert torch.equal(state["network.dense.weight"], drawn.get_parameter("dense.weight"))
    assert torch.equal(state["standardize.mean_F"], torch.zeros(1, 64, 1))
    assert torch.equal(state["standardize.std_F"], torch.ones(1, 64, 1))
    after = weights(results, vggish)
    assert torch.equal(after["standardize.std_F"], torch.ones(1, 64, 1))


def test_the_digest_tells_public_weights_apart(
    vggish: Trial, public: dict[str, Tensor], store: Store, tmp_path: Path
):
    stores = {prepare.store_key(vggish): store}
    (digest,) = prepare.digests([vggish], stores).values()
    path = tmp_path / "data" / "weights" / "small.pth"
    assert public_weights.find("small.pth", "") == path
    assert digest == f"{store.digest}+{public_weights.digest(path)}"
    safetensors.torch.save_file({**public, "features.0.bias": torch.ones(1)}, tmp_path / "o")
    path.write_bytes((tmp_path / "o").read_bytes())
    (other,) = prepare.digests([vggish], stores).values()
    assert other.startswith(f"{store.digest}+")
    assert other != digest


def test_public_weights_that_are_not_there(
    vggish: Trial,
    public: dict[str, Tensor],
    store: Store,
    here: machine.Machine,
    tmp_path: Path,
):
    absent = changed(vggish, {"transfer.weights": "large.pth"})
    stores = {prepare.store_key(vggish): store}
    line = r"^transfer\.weights=large\.pth not found at large\.pth, .*weights/large\.pth, .*github"
    with pytest.raises(ValueError, match=line) as error:
        prepare.digests([absent], stores)
    assert "\n" not in str(error.value)
    wide = changed(vggish, {"network.width": 2})
    (told,) = run_trial(wide, store, here, Results(tmp_path))
    assert told.error is not None
    assert (
        "features.0.weight is 1 x 1 x 3 x 3, where this network needs 2 x 1 x 3 x 3" in told.error
    )


# In a sweep

STUDY = """
from scaling.settings import Trial
QUESTION = "Is what a trial takes over trained before?"
SOURCE = "its own test"
def trials():
    for each in {trials!r}:
        yield Trial.model_validate_json(each)
"""


@pytest.mark.parametrize("stopped", [False, True])
def test_a_sweep_trains_sources_first(
    source: Trial,
    target: Trial,
    store: Store,
    here: machine.Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stopped: bool,
):
    """The target named first; Ray's place is taken by a loop. Stopped in the first stage, there is
    no second one.
    """
    path, out = tmp_path / "mine.py", tmp_path / "swept"
    path.write_text(STUDY.format(trials=[each.model_dump_json() for each in (target, source)]))
    clips = {"synthetic": dataclasses.replace(scan("synthetic"), table=store.table)}
    monkeypatch.setattr(prepare, "scan", lambda *_: clips)
    monkeypatch.setattr(prepare, "stores", lambda *_: {prepare.store_key(source): store})
    stages: list[list[str]] = []

    def loop(stage: list[Trial], *_: object) -> None:
        stages.append([each.id for each in stage])
        for each in [] if stopped else stage:
            list(run_trial(each, store, here, Results(out)))

    monkeypatch.setattr(ray_tune, "sweep", loop)
    ended = CliRunner().invoke(app, ["sweep", str(path), "--out", str(out), "--plain"])
    assert stages == ([[source.id]] if stopped else [[source.id], [target.id]])
    assert ended.exit_code == int(stopped)
    assert f"{0 if stopped else 2} of 2 trials complete" in ended.stdout
    assert sorted(row["status"] for row in Results(out).read("outcomes").to_pylist()) == (
        [] if stopped else ["complete", "complete"]
    )
