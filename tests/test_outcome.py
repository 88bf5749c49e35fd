"""How trials end: one type, one writer, one reader, one set of words."""

import ast
from pathlib import Path

import pytest
from test_imports import MODULES

from scaling.results import outcome as outcome_module
from scaling.results.outcome import RECORDED, Outcome, Status
from scaling.results.records import Damaged, Results
from scaling.results.schemas import SCHEMAS
from scaling.training.epoch import Metric, Prediction

ENDED = Outcome("a" * 12, Status.STOPPED, None, 3, 1.5, "node", "cpu", "float32", 7, "{}")


def test_an_outcome_is_read_as_it_was_written(tmp_path: Path):
    results = Results(tmp_path)
    assert results.outcome(ENDED.trial) is None
    results.end(ENDED)
    other = ENDED._replace(trial="b" * 12, status=Status.FAILED, error="ValueError: no")
    results.end(other)
    assert results.outcome(ENDED.trial) == ENDED
    assert results.outcomes([other.trial, "c" * 12]) == {other.trial: other}
    assert isinstance(results.outcomes([other.trial])[other.trial].status, Status)


def test_who_has_ended_has_an_outcome_until_it_is_reopened(tmp_path: Path):
    results = Results(tmp_path)
    results.end(ENDED)
    results.write("metrics", "b" * 12, [])
    assert results.ended() == results.ended([ENDED.trial, "b" * 12]) == {ENDED.trial}
    assert results.ended(["b" * 12]) == set()
    results.reopen(ENDED.trial)
    assert results.ended() == set()


def test_the_one_writer_keeps_no_secret_and_no_megabyte(tmp_path: Path):
    results = Results(tmp_path)
    results.end(ENDED._replace(error="OSError: s3://key:hush-hush@bucket " + "x" * 10**6))
    found = results.outcome(ENDED.trial)
    assert found is not None
    assert found.error is not None
    assert "hush" not in found.error
    assert len(found.error) <= 2000


@pytest.mark.parametrize("status", [Status.RUNNING, Status.MISSING])
def test_what_has_not_ended_is_no_outcome(tmp_path: Path, status: Status):
    assert not status.ended
    results, running = Results(tmp_path), ENDED._replace(status=status)
    with pytest.raises(AssertionError, match=f"{ENDED.trial} is {status}"):
        results.end(running)
    results.write("outcomes", ENDED.trial, [running._asdict()])
    with pytest.raises(Damaged, match=f"status is '{status}', it is one of complete, stopped, fai"):
        results.outcome(ENDED.trial)


def test_rows_have_the_columns_of_their_records():
    assert set(Outcome._fields) == set(SCHEMAS["outcomes"].names)
    for kind, row in (("metrics", Metric), ("predictions", Prediction)):
        assert {"trial", "epoch", *row._fields} == set(SCHEMAS[kind].names)


def test_status_words_have_one_home():
    """`running` and `missing` are also words for other things."""
    for path in MODULES:
        words = {
            n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)
        }
        home = path == Path(outcome_module.__file__)
        assert words & set(RECORDED) == (set(RECORDED) if home else set()), path
