"""Rounds of training, cutting and starting over: what they return to, when, and to which bits."""

import io
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from scaling import machine
from scaling.networks.modules.state import Misfit
from scaling.pruning.rewinding import Rewinding
from scaling.results import checkpoint
from scaling.results.continuation import open_ended
from scaling.results.records import Results
from scaling.results.run_trial import run_trial
from scaling.settings import Trial, changed, sizes
from scaling.sound.store import Store
from scaling.training import loop, stacked
from scaling.training.epoch import Epoch
from scaling.training.inputs import Listener
from scaling.training.methods import run
from scaling.training.session import Session

WAYS = ("weights", "rate", "none", "reinitialized")
# 7 epochs: 3 of the first training, back to its first, then twice 2 more
ROUNDS = {
    "network.depth": 0,
    "network.pointwise": 0,
    "network.width": 4,
    "network.initialization": "he",
    "pruning.kind": "rewinding",
    "pruning.target_width": 2,
    "pruning.rounds": 2,
    "pruning.rewind_to": 1,
    "training.epochs": 7,
    "training.warmup": 1,
    "evaluation.every": 7,
}


def rounds(trial: Trial, rewind: str, **changes: Any) -> Trial:
    own = {"pruning.rewind_to": 0, "training.epochs": 6} if rewind == "reinitialized" else {}
    return changed(trial, {**ROUNDS, "pruning.rewind": rewind, **own, **changes})


def test_epochs_by_hand():
    """E = k + (R + 1) x each, and every way has its cuts and its epochs at the same places."""
    settings = Rewinding(target=100, rounds=2, rewind_to=1)
    assert (settings.first(7), settings.each(7)) == (3, 2)
    assert [settings.due(epoch, 7) for epoch in range(7)] == [
        *(False, False, False),
        *(True, False),
        *(True, False),
    ]
    assert [settings.after(number, 10_000, 100) for number in range(3)] == [10_000, 1000, 100]
    rates = [settings.scheduled(epoch, 7) for epoch in range(7)]
    assert rates == [(0, 3), (1, 3), (2, 3), (1, 3), (2, 3), (1, 3), (2, 3)]
    tuned = settings.model_copy(update={"rewind": "none"})
    assert [tuned.scheduled(epoch, 7) for epoch in range(7)] == [*rates[:3], *[(2, 3)] * 4]
    whole = Rewinding(target=100, rounds=3)
    assert [whole.scheduled(epoch, 8)[0] for epoch in range(8)] == [0, 1] * 4
    assert [epoch for epoch in range(8) if whole.due(epoch, 8)] == [2, 4, 6]


def begun(trial: Trial, store: Store, here: machine.Machine) -> Any:
    """The state with which each epoch is trained: masks are cut, weights and moments rewound."""
    session = Session(trial, Listener(trial, store, here), here, None, None)
    for _ in range(trial.training.epochs):
        real, states = session.steps, []

        def steps(real: Any = real, states: Any = states) -> Any:
            states.append(
                (
                    {name: each.clone() for name, each in session.model.state_dict().items()},
                    {name: each.clone() for name, each in session.pruner.masks.items()},
                    [float(each["step"]) for each in session.optimizer.state.values()],
                )
            )
            yield from real()

        session.steps = steps  # type: ignore[method-assign]
        epoch = session.epoch()
        trained = {name: each.clone() for name, each in epoch.state["model"].items()}
        epoch = epoch._replace(state={**epoch.state, "model": trained})
        session.steps = real  # type: ignore[method-assign]
        yield *states[0], epoch


def weights_of(state: dict[str, Tensor], masks: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state without what the masks cut."""
    return {
        name: value * masks[layer] if layer in masks else value
        for name, value in state.items()
        for layer in (name.removeprefix("network.").removesuffix(".weight"),)
    }


@pytest.mark.parametrize("rewind", WAYS)
def test_what_a_round_returns_to(trial: Trial, store: Store, here: machine.Machine, rewind: str):
    one = rounds(trial, rewind)
    settings, epochs = one.pruning, one.training.epochs
    target = sizes.kept_weights(one, len(store.labels))
    found = [*begun(one, store, here)]
    dense = sum(mask.numel() for mask in found[0][1].values())
    rates = [epoch.overall("train")["rate"] for *_, epoch in found]
    for number, (state, masks, steps, epoch) in enumerate(found):
        done = settings.done(number, epochs)
        kept = sum(int(mask.sum()) for mask in masks.values())
        assert kept == settings.after(done, dense, target)
        assert epoch.overall("train")["kept_weights"] == kept
        if not settings.due(number, epochs):
            continue
        before = found[number - 1][3].state["model"]
        early = found[settings.rewind_to][0]
        last = number == epochs - settings.each(epochs)
        if rewind in ("rate", "none"):
            expected = weights_of(before, masks)
        elif rewind == "weights" or not last:
            expected = weights_of(early, masks)
        else:
            continue
        for name, value in expected.items():
            assert torch.equal(state[name], value), name
        assert (set(steps) == {0.0}) == (rewind != "none"), "moments begin again"
    assert kept == target
    first, each = settings.first(epochs), settings.each(epochs)
    again = rates[settings.rewind_to : first]
    assert rates[first:] == ([rates[first - 1]] * 4 if rewind == "none" else again * 2)
    assert len(again) == each


def test_a_random_reinitialization_has_the_mask_of_the_ticket(
    trial: Trial, store: Store, here: machine.Machine
):
    same = {"pruning.rewind_to": 0, "training.epochs": 6}
    ticket = [*begun(rounds(trial, "weights", **same), store, here)]
    redrawn = [*begun(rounds(trial, "reinitialized"), store, here)]
    for number, (one, other) in enumerate(zip(ticket, redrawn, strict=True)):
        for name, mask in one[1].items():
            assert torch.equal(mask, other[1][name])
            ours = other[0][f"network.{name}.weight"]
            assert not ours[~mask].any()
            assert torch.equal(one[0][f"network.{name}.weight"], ours) == (number < 4)
    own, early = redrawn[4][0], redrawn[0][0]
    for name, value in early.items():  # what is not drawn begins as it began
        if not name.endswith("weight") or value.ndim < 4:
            assert torch.equal(own[name], value), name


@pytest.mark.parametrize("rewind", WAYS)
def test_a_killed_trial_ends_in_the_same_bits(
    trial: Trial, store: Store, here: machine.Machine, rewind: str
):
    one = rounds(trial, rewind)
    states = []
    for epoch in run(one, store, here):
        saved = io.BytesIO()
        torch.save(epoch.state, saved)
        states.append(saved.getvalue())
        last = epoch
    # of the other ways before the last two cuts only, for time
    for state in states[:-1] if rewind == "weights" else (states[2], states[-3]):
        *_, again = run(one, store, here, torch.load(io.BytesIO(state), weights_only=True))
        for name, value in last.state["model"].items():
            assert torch.equal(value, again.state["model"][name]), name
    held = [torch.load(io.BytesIO(each), weights_only=True)["early"] for each in states]
    returns = rewind in ("weights", "reinitialized")
    due = one.pruning.rewind_to, one.training.epochs - one.pruning.each(one.training.epochs)
    assert [each is not None for each in held] == [
        returns and due[0] <= number < due[1] for number in range(one.training.epochs)
    ]


def test_a_checkpoint_without_what_is_returned_to_is_refused(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    one, results = rounds(trial, "weights"), Results(tmp_path)
    steps = run(one, store, here)
    state = [next(steps) for _ in range(2)][-1].state
    with pytest.raises(Misfit, match="nothing to rewind to"):
        next(run(one, store, here, state | {"early": None}))
    with pytest.raises(Misfit, match="what is rewound to has other layers"):
        next(run(one, store, here, state | {"early": {"a": torch.ones(1)}}))
    checkpoint.save(one, results, state | {"early": 3, "wall_s": 1.0})
    with pytest.warns(UserWarning, match="holds no early"):
        assert checkpoint.load(one, results) is None


def test_killed_and_swept_again_it_continues(
    trial: Trial, store: Store, here: machine.Machine, tmp_path: Path
):
    """Through records and checkpoints, killed in its second round."""
    one = rounds(trial, "weights")
    whole, cut = Results(tmp_path / "whole"), Results(tmp_path / "cut")
    list(run_trial(one, store, here, whole))
    list(itertools.islice(run_trial(one, store, here, cut), 4))
    list(run_trial(one, store, here, cut))
    ours, theirs = (
        [
            row
            for row in each.read("metrics", [one.id]).to_pylist()
            if not row["metric"].endswith("_seconds")
        ]
        for each in (cut, whole)
    )
    assert ours == theirs
    name = "weights", f"{one.id}.safetensors"
    assert cut.get(*name) == whole.get(*name)


def test_stacked_it_is_what_it_is_alone(trial: Trial, store: Store, here: machine.Machine):
    few = {"pruning.rounds": 1, "training.epochs": 3, "pruning.target_width": 0}
    few |= {"pruning.target": 900, "network.initialization": "fixup", "network.kind": "vib_cnn"}
    trials = [rounds(trial, rewind, **few) for rewind in ("weights", "rate")]
    trials.append(changed(trials[0], {"pruning.kind": "none"}))
    listen = {each.id: Listener(each, store, here) for each in trials}
    sessions = {each.id: Session(each, listen[each.id], here, None, None) for each in trials}
    together: dict[str, list[Epoch]] = {each.id: [] for each in trials}
    for left in stacked.run(sessions):
        for name, epoch in left.items():
            assert isinstance(epoch, Epoch), epoch
            together[name].append(epoch)
    for one in trials:
        for ours, alone in zip(together[one.id], loop.run(one, listen[one.id], here), strict=True):
            values, own = alone.overall("train"), ours.overall("train")
            for name in {"loss", "rate", "kept_weights"} & values.keys():
                assert own[name] == pytest.approx(values[name], rel=1e-4), (name, one)
            for name, value in alone.state["model"].items():
                apart = torch.linalg.vector_norm((ours.state["model"][name] - value).double())
                assert apart <= 2e-3 * (1 + torch.linalg.vector_norm(value.double())), name


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"training.epochs": 8}, r"1 of training\.epochs=8 is no 3 equal .*epochs=7 or 10$"),
        ({"training.epochs": 1, "training.warmup": 0}, r"training\.epochs=4$"),
        ({"training.warmup": 3}, r"warmup=3 must end before the first cut, after 3 epochs"),
        ({"training.patience": 2}, r"patience=2 may end .*kind=rewinding"),
        ({"pruning.rewind": "reinitialized"}, r"before the first .*pruning\.rewind_to=0$"),
    ],
)
def test_what_cannot_be_is_one_line(trial: Trial, changes: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said) as caught:
        changed(trial, {**ROUNDS, **changes})
    assert "\n" not in str(caught.value)


def test_a_longer_trial_takes_no_shorter_ones_epochs(trial: Trial):
    """When its rounds begin depends on how many epochs it has."""
    constant = {"training.final": 1.0}
    assert open_ended(changed(trial, {**constant}))
    assert not open_ended(rounds(trial, "weights", **constant))
    rigl = {"pruning.kind": "rigl", "pruning.target": 900}
    assert not open_ended(changed(trial, {**constant, **rigl}))
