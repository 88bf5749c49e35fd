"""What is replaced of Ray while it starts: as expected in this Ray, left alone in another."""

import warnings

import pytest

from sweeps.engine.ray_private import STARTING, undisturbed


def test_this_ray_is_as_expected_and_gets_its_parts_back():
    before = [part.place() for part in STARTING]
    assert all(before), [part.name for part in STARTING if part.place() is None]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with undisturbed(here=True):
            now = [getattr(*place[:2]) for place in before if place]
    assert not [one for one, place in zip(now, before, strict=True) if place and one is place[2]]
    assert [part.place() for part in STARTING] == before


def test_what_another_ray_lacks_or_has_otherwise_is_named_and_left(monkeypatch: pytest.MonkeyPatch):
    node = pytest.importorskip("ray._private.node")
    services = pytest.importorskip("ray._private.services")
    monkeypatch.delattr(node.Node, "start_monitor")
    monkeypatch.setattr(services, "resolve_ip_for_localhost", other := lambda address: address)
    line = r"not as expected \(services.resolve_ip_for_localhost, node.Node.start_monitor\)"
    with pytest.warns(UserWarning, match=line), undisturbed(here=True):  # noqa: PT031
        assert not hasattr(node.Node, "start_monitor")
        assert services.resolve_ip_for_localhost is other
        assert node.Node.start_log_monitor(None) is None, "the others are replaced"
