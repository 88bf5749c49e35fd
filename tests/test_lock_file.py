"""What sweep.json says, whoever wrote it."""

import json
import os

import pytest

from scaling.results import lock_file


def test_what_is_written_is_read_and_always_as_long():
    mine = lock_file.here()._replace(token="t", slots=2, begun="now", beat=1)
    later = mine._replace(slots=None, beat=10**9)
    assert [lock_file.parsed(lock_file.packed(each)) for each in (mine, later)] == [mine, later]
    assert len(lock_file.packed(mine)) == len(lock_file.packed(later)) == lock_file.LENGTH


@pytest.mark.parametrize("content", [None, b"", b"[1]", b"{}", b"{torn", b"[" * 10_000])
def test_what_says_nothing_is_nobody(content: bytes | None):
    assert lock_file.parsed(content) is None


def test_a_changed_file_is_nobody():
    content = lock_file.packed(lock_file.here()).replace(b'"pid": ', b'"pid": 1')
    assert lock_file.parsed(content) is None


def test_values_that_others_wrote_are_harmless():
    said = {"host": "far\x1b[2J" + "x" * 500, "pid": "../../1", "slots": True, "beat": -1}
    found = lock_file.parsed(json.dumps(said).encode())
    assert found is not None
    assert found.host == "far[2J" + "x" * (lock_file.LONGEST - 7)
    assert (found.pid, found.slots, found.beat, found.started, found.token) == (
        None, None, 0, None, "",
    )  # fmt: skip


@pytest.mark.skipif(not lock_file.machine(), reason="finds processes through /proc")
def test_a_process_is_named_by_its_id_and_its_start():
    mine = lock_file.here()
    assert (mine.pid, lock_file.alive(mine)) == (os.getpid(), True)
    assert lock_file.alive(mine._replace(started="1")) is False
    assert lock_file.alive(mine._replace(pid=None)) is False
    assert lock_file.alive(mine._replace(machine="another")) is None
