"""Memory: a step that does not fit has its activations recomputed, to the same bits."""

import pytest
import torch

from scaling.machine import Machine
from scaling.settings import Trial, changed
from scaling.sound.store import Store
from scaling.training import memory
from scaling.training.inputs import Listener
from scaling.training.session import Session

HERE = Machine(torch.device("cpu"), torch.float32, 1)


@pytest.fixture
def session(trial: Trial, store: Store) -> Session:
    one = changed(trial, {"network.dropout": 0.2, "training.epochs": 2})
    return Session(one, Listener(one, store, HERE), HERE, None, None)


def test_recomputed_activations_change_no_bit(trial: Trial, store: Store, session: Session):
    plain = Session(session.trial, Listener(session.trial, store, HERE), HERE, None, None)
    before = {name: each.clone() for name, each in session.model.state_dict().items()}
    memory.dry_step(session)
    assert memory.recompute(session.model.network) == len(session.model.network.names)
    memory.dry_step(session)
    for name, value in session.model.state_dict().items():
        assert torch.equal(value, before[name]), "a dry step changes nothing"
    ours, others = session.epoch(), plain.epoch()
    for name, value in others.state["model"].items():
        assert torch.equal(ours.state["model"][name], value), name


def test_a_dry_step_leaves_a_network_of_ones_own_as_it_was(session: Session):
    """Whatever it counts as it runs."""
    network = session.model.network
    network.register_buffer("runs", torch.zeros(()))

    def counted(*_: object) -> None:
        network.get_buffer("runs").add_(1)

    network.register_forward_pre_hook(counted)
    memory.dry_step(session)
    assert network.get_buffer("runs") == 0


def test_only_what_does_not_fit_is_recomputed(session: Session):
    tried = []

    def small(session: Session) -> None:
        tried.append("forward" in vars(session.model.network.get_submodule("block1")))
        if not tried[-1]:
            raise torch.OutOfMemoryError("CUDA out of memory")

    def never(session: Session) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    assert not memory.fit(session)
    assert memory.fit(session, small)
    assert tried == [False, True]
    with pytest.raises(
        ValueError, match=r"a step of 16 clips does not fit .* smaller training\.batch"
    ):
        memory.fit(session, never)
