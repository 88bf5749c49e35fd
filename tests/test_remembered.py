"""analysis.remembered: what figures share is made once for the same data, and never for others."""

import pytest
from test_analysis_table import complete, results, trial

from analysis.data import Data
from analysis.failures.models import models
from analysis.laws import runs_by, values_of
from analysis.remembered import remembered
from scaling.results.records import Results

__all__ = ["results"]  # the fixture


@pytest.fixture
def data(results: Results) -> Data:
    sizes = {trial(network__width=width): {"unseen": [0.5, 0.6]} for width in (4, 8, 16)}
    complete(results, sizes)
    return Data(results)


def test_what_figures_share_is_made_once(data: Data) -> None:
    assert models(data) is models(data)
    assert values_of(data) is values_of(data)
    assert runs_by(data, "macs") is runs_by(data, "macs") is not runs_by(data, "weights")


def test_other_data_and_other_arguments_are_not_mixed_up(data: Data) -> None:
    asked = []

    @remembered
    def last(of: Data, times: int = 1) -> int:
        asked.append(times)
        return times * of.last

    other = Data(data.snapshot, last=2)
    assert [last(data), last(other), last(data, 3), last(data, times=5), last(data)] == [
        1, 2, 3, 5, 1
    ]  # fmt: skip
    assert asked == [1, 1, 3, 5]


def test_an_error_is_raised_each_time(data: Data) -> None:
    @remembered
    def refused(of: Data) -> int:
        raise ValueError(f"nothing in {of.where}")

    for _ in range(2):
        with pytest.raises(ValueError, match="nothing in"):
            refused(data)
