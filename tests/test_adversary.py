"""The adversary: its reversed gradient, what a network forgets, and a trial that resumes."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import nn
from torch.nn import functional

from scaling import machine
from scaling.networks.modules.output import Output, described
from scaling.objectives.modules.losses import Loss
from scaling.results import checkpoint, continuation, manifest
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.seeds import torch_stream
from scaling.settings import Trial, changed, sizes
from scaling.sound.store import Store
from scaling.training import adversary, minimizing
from scaling.training.epoch import Epoch
from scaling.training.inputs import Listener
from scaling.training.methods import run
from scaling.training.session import Session
from scaling.training.shape import shape
from scaling.training.stages import Draws

DEVICES = {"split.train_devices": ("a", "b"), "training.adversarial": 0.7}


@pytest.fixture
def opposed(trial: Trial) -> Trial:
    """A trial on clips of two devices."""
    return changed(trial, {**DEVICES, "network.initialization": "he", "split.fraction": 0.4})


def session_of(trial: Trial, store: Store, here: machine.Machine) -> Session:
    return Session(trial, Listener(trial, store, here), here, None, None)


def test_lambda_follows_the_published_schedule():
    for progress in (0.0, 0.1, 0.5, 1.0):
        wanted = 2 / (1 + np.exp(-10 * progress)) - 1
        assert adversary.strength(progress) == pytest.approx(wanted, abs=1e-12)


def test_the_network_gets_minus_lambda_times_the_heads_gradient(
    opposed: Trial, store: Store, here: machine.Machine
):
    """Of all weights of the network, on mixed views; the head's own gradient is the plain one."""
    views = {"objective.kind": "consistency", "objective.weight": 1.0, "augment.transform": "mask"}
    session = session_of(changed(opposed, views), store, here)
    session.done = 1
    session.begin()
    step = [*session.steps()][-1]
    assert len(step.views) > 1
    assert step.heard_BD is not None
    assert step.progress == pytest.approx((1 + 1 - 1 / session.count) / 3)
    head, network = session.adversary.head, session.model.network

    session.begin()
    outputs = minimizing.outputs(session.model, step.views)
    plain = functional.cross_entropy(
        head(torch.cat([described(each) for each in outputs])), step.heard_BD
    )
    weights = [*network.parameters()]
    wanted = torch.autograd.grad(plain, [*head.parameters(), *weights], allow_unused=True)

    session.begin()
    loss = Loss({}, {})
    outputs = minimizing.outputs(session.model, step.views)
    session.adversary.add_to(loss, outputs, step.heard_BD, step.progress)
    loss.parts["adversary"].backward()
    scale = 0.7 * adversary.strength(step.progress)
    assert 0.5 < scale < 0.7
    own = [*head.parameters()]
    for parameter, gradient in zip(own, wanted, strict=False):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-6)
    moved = 0
    for parameter, gradient in zip(weights, wanted[len(own) :], strict=True):
        if gradient is None:  # the last layer, which the head does not read through
            assert parameter.grad is None
            continue
        torch.testing.assert_close(parameter.grad, -scale * gradient, rtol=0, atol=1e-6)
        moved += bool(gradient.abs().max() > 1e-4)
    assert moved > 5


def test_who_hears_a_clip(opposed: Trial, store: Store, here: machine.Machine, tmp_path: Path):
    """Two devices by three ways: as recorded, and through two microphones; drawn as before."""
    for number, name in enumerate(("m", "n")):
        impulse = np.zeros(64, dtype=np.float32)
        impulse[[0, 5 + number]] = 0.5
        soundfile.write(tmp_path / f"{name}.wav", impulse, 16_000)
    heard = {"microphones.responses": str(tmp_path), "microphones.train": ("m", "n")}
    through = changed(opposed, {**heard, "microphones.share": 0.5})
    session = session_of(through, store, here)
    assert session.adversary.count == 6
    views, clips = session.views, session.train[:24]
    copy = views.copy(clips, Draws(through.seed, 0, 0), 0.0)
    assert set(copy.microphones_B.tolist()) == {-1, 0, 1}
    assert torch.equal(
        views.made(views.drawn(copy)), views.augmented(clips, Draws(through.seed, 0, 0), 0.0)
    )
    devices = (session.listener.table["device"].iloc[clips] == "b").to_numpy()
    wanted = torch.from_numpy(devices * 3) + copy.microphones_B + 1
    assert torch.equal(session.adversary.heard(copy).argmax(dim=1), wanted)
    always = changed(through, {"microphones.share": 1.0})
    assert session_of(always, store, here).adversary.count == 4, "as recorded is never heard"


def test_a_head_against_which_is_trained_falls_to_chance():
    """Class and device are each one direction of the input. Without reversal the head reads the
    device; with it the head is at chance and the class is told as well as before.
    """
    generator = torch.Generator().manual_seed(0)
    classes, devices = (torch.randint(2, (512,), generator=generator) for _ in range(2))
    signs = torch.stack([classes, devices], dim=1).float() * 2 - 1
    x = 0.2 * torch.randn(512, 8, generator=generator)
    x[:, :2] += signs
    turn, _ = torch.linalg.qr(torch.randn(8, 8, generator=generator))
    x, targets, found = x @ turn, functional.one_hot(devices, 2).float(), {}
    for most in (0.0, 1.0):
        torch.manual_seed(0)
        body, last = nn.Linear(8, 6), nn.Linear(6, 2)
        head = adversary.DeviceHead(6, 2, torch_stream(0, "adversary"))
        sgd = torch.optim.SGD([*body.parameters(), *last.parameters(), *head.parameters()], 0.1)
        for step in range(400):
            sgd.zero_grad()
            made = body(x)
            scale = most * adversary.strength(step / 400)
            told = functional.cross_entropy(last(made), classes)
            heard = functional.cross_entropy(head(adversary.against(made, scale)), targets)
            (told + heard).backward()
            sgd.step()
        right = [last(body(x)).argmax(1) == classes, head(body(x)).argmax(1) == devices]
        found[most] = [float(each.float().mean()) for each in right]
    assert found[0.0][1] > 0.95, "the device is there to be read"
    assert abs(found[1.0][1] - 0.5) < 0.1
    assert min(found[0.0][0], found[1.0][0]) > 0.95


def test_killed_and_resumed_is_undisturbed(
    opposed: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    """To the bit, with SAM and a pruned network; the head is neither counted nor kept."""
    beside = {"training.sam": 0.05, "pruning.kind": "static", "pruning.target": 300}
    brief = {"training.epochs": 2, "training.warmup": 0, "split.fraction": 0.2}
    trial = changed(opposed, {**beside, **brief})
    whole: list[Epoch] = []
    saved: list[bytes] = []
    for epoch in run(trial, store, here):
        whole.append(epoch)
        content = io.BytesIO()
        torch.save(epoch.state, content)
        saved.append(content.getvalue())
    state = torch.load(io.BytesIO(saved[0]), weights_only=True)
    *_, last = run(trial, store, here, state)
    for name, value in whole[-1].state["model"].items():
        assert torch.equal(last.state["model"][name], value), name
    for name, value in whole[-1].state["adversary"]["model"].items():
        assert torch.equal(last.state["adversary"]["model"][name], value), name
    of_train = {row.metric: row.value for row in whole[-1].metrics if row.split == "train"}
    assert {"adversary", "device_accuracy"} <= of_train.keys()
    assert of_train["loss"] == pytest.approx(of_train["adversary"] + of_train["cross_entropy"])

    plain = changed(trial, {"training.adversarial": 0.0})
    assert sizes.cost(trial, 10) == sizes.cost(plain, 10)
    assert last.state["model"].keys() == session_of(plain, store, here).model.state_dict().keys()

    results = Results(tmp_path)
    next(run_trial(trial, store, here, results))
    kept = checkpoint.load(trial, results)
    checkpoint.save(trial, results, kept | {"adversary": None})
    with pytest.warns(UserWarning, match="is damaged .it has no adversary.; the trial starts over"):
        *_, told = run_trial(trial, store, here, results)
    assert told.status == "complete"
    kept["adversary"] = {"model": 3}
    checkpoint.save(trial, results, kept)
    with pytest.warns(UserWarning, match="it holds no adversary"):
        assert checkpoint.load(trial, results) is None


def test_where_there_is_nothing_to_tell_apart(
    trial: Trial, store: Store, here: machine.Machine, tables: dict
):
    alone = changed(trial, {"training.adversarial": 0.5})
    line = (
        "^training.adversarial=0.5: all training clips are of one device, so there is "
        "nothing to tell apart: name microphones.train with a share, train on several devices, or "
        "leave it at 0$"
    )
    with pytest.raises(ValueError, match=line):
        session_of(alone, store, here)
    small = changed(alone, {"training.batch": 8})
    with pytest.raises(ValueError, match=line):
        manifest.plan("s", [small], tables)
    manifest.plan("s", [changed(small, {"split.train_devices": ()})], tables)


def test_such_trials_train_alone_and_end_where_they_said(opposed: Trial):
    """lambda depends on how many epochs there are, so no longer trial continues one."""
    plain = changed(opposed, {"training.adversarial": 0.0})
    assert shape(plain, 40) is not None
    assert shape(opposed, 40) is None
    steady = {"training.final": 1.0, "training.stepping": "epoch", "training.warmup": 0}
    steady |= {"augment.mixup": 0.0}
    assert continuation.open_ended(changed(plain, steady))
    assert not continuation.open_ended(changed(opposed, steady))


def test_a_network_that_shows_no_map(opposed: Trial, store: Store, here: machine.Machine):
    session = session_of(opposed, store, here)
    session.model.network.forward = lambda x: Output(torch.zeros(len(x), 10), None)
    with pytest.raises(ValueError, match=r"network.kind=cp_resnet puts out logits alone: return"):
        adversary._embedding(opposed, session.model, here)
