"""analysis.latency: whose latencies count, and what choose, frontier and report make of them."""

from collections.abc import Mapping

import pytest
from test_analysis_table import NOON, complete, results, trial

from analysis.candidates import candidates
from analysis.choose import choose
from analysis.data import Data
from analysis.figures.frontier import LATENCY
from analysis.latency import SAID
from analysis.report.configurations import configurations
from scaling.results.records import Results

__all__ = ["results"]  # the fixture

OURS, PI = "EPYC", "Raspberry Pi"
WIDTHS = {4: 0.5, 8: 0.6, 16: 0.7}


def measured(
    results: Results, times: Mapping[str, Mapping[int, float]], fold: int = 1, hours: int = 0
) -> None:
    """Record latencies by machine and width, each beside others that do not count."""
    by_width: dict[int, list[dict[str, object]]] = {}
    for machine, of in times.items():
        for width, ms in of.items():
            row = {"machine": machine, "node": "n", "runtime": "torch", "threads": 1}
            row |= {"precision": "float32", "scope": "waveform"}
            row |= dict.fromkeys(("p95_ms", "low_ms", "high_ms", "cpu_ms"), ms)
            row |= {
                "peak_memory_bytes": 1,
                "model_memory_bytes": 1,
                "repeats": 200,
            }
            row |= {"interrupted": 0.0}
            row |= {"versions": "{}", "measured": NOON.replace(hour=hours), "p50_ms": ms}
            others = [{"scope": "network"}, {"precision": "bfloat16"}, {"threads": 2}]
            by_width.setdefault(width, []).extend(
                [row, *(row | other | {"p50_ms": ms / 3} for other in others)]
            )
    for width, rows in by_width.items():
        one = trial(network__width=width, split__fold=fold)
        results.write("latency", one.id, [{"trial": one.id, **row} for row in rows])


@pytest.fixture
def study(results: Results) -> Results:
    """Three widths, two folds, scored on validation and test clips."""
    complete(results, {trial(network__width=w, split__fold=f): {"validation": [v], "test": [v]}
                       for w, v in WIDTHS.items() for f in (1, 2)})  # fmt: skip
    return results


def test_a_budget_of_milliseconds_holds_for_all_runs_of_a_configuration(study: Results) -> None:
    measured(study, {OURS: {4: 1.0, 8: 2.0, 16: 9.5}})  # of fold 1 alone
    found = candidates(Data(study))
    assert list(found["latency_ms"]) == [1.0, 2.0, 9.5]
    choice = choose(Data(study), {"latency_ms": 5.0}, {})
    assert choice.best["label"] == "width 8"
    assert choice.cost == "latency_ms"
    assert "within latency_ms <= 5." in choice.reason
    assert f"Latency: {SAID}, on EPYC." in choice.reason


def test_repeats_share_a_latency_as_their_median(study: Results) -> None:
    measured(study, {OURS: {4: 1.0, 8: 2.0, 16: 9.5}})
    measured(study, {OURS: {4: 2.0}}, fold=2)
    assert list(candidates(Data(study))["latency_ms"]) == [1.5, 2.0, 9.5]


def test_latencies_of_two_machines_are_not_mixed(study: Results) -> None:
    measured(study, {OURS: {4: 1.0, 8: 2.0}, PI: {4: 10.0, 8: 20.0, 16: 90.0}})
    assert Data(study).latencies.machine == PI
    assert list(candidates(Data(study))["latency_ms"]) == [10, 20, 90]
    ours = Data(study, machine=OURS)
    assert list(candidates(ours)["latency_ms"].isna()) == [False, False, True]
    said = r"on EPYC \(Raspberry Pi measured others: two machines do not compare\): run overhear "
    with pytest.raises(ValueError, match=f"^--max latency_ms: 1 of 3 candidates .* {said}"):
        choose(ours, {"latency_ms": 5.0}, {})
    with pytest.raises(ValueError, match=r"^--machine EPIC: .* \(did you mean EPYC\?\)$"):
        _ = Data(study, machine="EPIC").latencies


def test_of_equal_machines_the_last_counts(study: Results) -> None:
    measured(study, {OURS: {4: 1.0}})
    measured(study, {PI: {4: 10.0}}, fold=2, hours=9)
    assert Data(study).latencies.machine == PI


def test_the_frontier_is_of_what_was_measured(study: Results) -> None:
    assert LATENCY.obstacle(Data(study)) == "no latency was measured: run overhear measure"
    measured(study, {OURS: {4: 1.0, 8: 2.0}})
    assert LATENCY.obstacle(Data(study)) == "2 configurations make no frontier, it takes 3"
    measured(study, {OURS: {4: 1.0, 8: 2.0, 16: 0.5}})
    data = Data(study)
    points = LATENCY.points(data)
    here = points[points["split"] == "test"].set_index("label")
    assert list(here["latency_ms"]) == [0.5, 1.0, 2.0]  # by cost
    assert list(here.index[here["on_frontier"]]) == ["width 16"]
    texts = [text.get_text() for text in LATENCY.draw(points).texts]
    assert any("EPYC" in text.replace("\n", " ") for text in texts)
    assert "test clips 1 of 3 are" in LATENCY.listing("frontier_latency", points).result


def test_the_report_weighs_milliseconds(study: Results) -> None:
    assert "latency_ms" not in configurations(Data(study)).costs
    measured(study, {OURS: {4: 1.0, 8: 2.0}})
    known = configurations(Data(study))
    assert known.costs["latency_ms"] == "milliseconds a clip"
    assert [row["costs"].get("latency_ms") for row in known.rows] == [1.0, 2.0, None]
    assert f"Milliseconds: {SAID}, on EPYC." in known.notes
