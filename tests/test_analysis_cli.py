"""The commands of analysis: what the commands write and print, and that --help stays light."""

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from test_analysis_table import complete, end, measure, mixed, plan, results, trial
from typer.testing import CliRunner

from analysis.commands.analyze import analyze
from analysis.commands.options import Format
from analysis.commands.status import status
from analysis.data import Data
from analysis.figures.accuracy_vs_parameters import points
from analysis.figures.registry import FIGURES
from scaling.results.records import Results

__all__ = ["results"]  # the fixture


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """As wide as a table that no terminal shows."""
    monkeypatch.delenv("COLUMNS", raising=False)


NAME = "accuracy_vs_parameters"


def cells(said: str) -> list[list[str]]:
    """The lines of what was printed, in columns."""
    return [re.split(r"\s{2,}", line.strip()) for line in said.splitlines()]


def whole(results: Results) -> str:
    """Two sizes, of three runs and of one, on seen and unseen devices; the folder as typed."""
    runs = [trial(), trial(seed=1), trial(seed=2), trial(network__width=16)]
    values = {
        one: {"seen": [0.5, 0.7 + k / 10], "unseen": [0.1, 0.6]} for k, one in enumerate(runs)
    }
    complete(results, values)
    return results.where


def test_analyze_draws_only_trials_with_certain_settings(results: Results) -> None:
    analyze([whole(results)], where=["network.width=16"])
    drawn = pd.read_csv(results.path("figures", f"{NAME}.csv"))
    everything = points(Data(results))
    assert set(drawn["parameters"]) == {everything["parameters"].max()}


def test_analyze_writes_each_figure_that_applies_with_its_points(results: Results) -> None:
    analyze([whole(results)])
    folder = Path(results.path("figures"))
    applying = (NAME, "accuracy_vs_width")
    assert {f.name for f in folder.iterdir()} == {
        f"{n}.{e}" for n in applying for e in ("png", "csv")
    }
    written = pd.read_csv(folder / f"{NAME}.csv")
    expected = points(Data(results))
    pd.testing.assert_frame_equal(written, expected, check_dtype=False, rtol=1e-15)


@pytest.mark.parametrize(
    ("ending", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<svg")]
)
def test_formats_are_what_they_say(
    results: Results, tmp_path: Path, ending: str, magic: bytes
) -> None:
    out = tmp_path / "deep" / "er"
    analyze([whole(results)], figure=[NAME], out=str(out), format=Format(ending))
    content = (out / f"{NAME}.{ending}").read_bytes()
    assert magic in content[:600]
    if ending == "svg":
        assert b">Unseen devices<" in content  # text stays text
    assert not Path(results.path("figures")).exists()


def test_analyze_prints_points_files_and_counts(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    analyze([whole(results)])
    said = capsys.readouterr()
    assert said.err == ""
    rows = cells(said.out)
    # t(0.975, 2 degrees) = 4.303: the score interval that is 80 +- 4.303 x 10 / sqrt(3) near 80
    assert ["seen", "8", "16,000", "80.0", "49.0 to 94.3", "3", "10.0", "10.0"] in rows
    assert ["unseen", "16", "32,000", "60.0", "one run", "1 run", "-", "-"] in rows
    assert ["seen", "8", "80.0", "49.0 to 94.3", "3", "10.0", "10.0"] in rows
    assert ["All rows: family cp_resnet; depth 1; pointwise 1"] in rows
    highest = "highest accuracy on unseen devices: width 8, 60.0 % (60.0 to 60.0); lowest: width 8"
    assert f"{NAME}: {highest}" in said.out
    assert "n, seeds" in said.out
    assert f"{NAME}.png" in said.out
    assert f"{NAME}.csv" in said.out
    assert "4 trials: 4 complete, 0 stopped, 0 failed, 0 running, 0 missing" in said.out


def test_curves_are_drawn_and_a_few_of_their_points_printed(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    scored = {trial(seed=s): {"validation": [0.1, 0.5 + s / 10, 0.3]} for s in range(3)}
    complete(results, scored)
    analyze([results.where], figure=["learning_curves"])
    said = capsys.readouterr().out
    folder = Path(results.path("figures"))
    assert {f.name for f in folder.iterdir()} == {"learning_curves.png", "learning_curves.csv"}
    rows = cells(said)
    # the score interval of 60 +- 4.303 x 10 / sqrt(3); the losses are the accuracies + 1
    assert ["accuracy %", "best epoch", "2", "60.0", "35.7 to 80.2", "-"] in rows
    assert len([row for row in rows if row[0] == "accuracy %"]) == 2
    lowest = ["cross-entropy, nats", "best epoch", "1", "1.100", "1.100 to 1.100", "-"]
    assert lowest in rows
    assert "split validation; " in said
    assert len(pd.read_csv(folder / "learning_curves.csv")) == 6
    analyze([results.where], figure=["learning_curves"], json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 6
    assert {line["figure"] for line in lines} == {"learning_curves"}
    assert {"family", "metric", "split", "epoch", "mean", "low", "high", "n"} <= lines[0].keys()


def test_losses_are_printed_in_nats_with_their_rise(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    bottleneck = {"objective__kind": "bottleneck", "objective__latent": 4}
    values = {(0, 0.01): 0.1, (0, 1.0): 0.5, (1, 0.01): 0.3, (1, 1.0): 0.8}
    values |= {(2, 0.01): 0.2, (2, 1.0): 0.65}
    trials = {
        trial(seed=s, objective__beta=b, **bottleneck): {"test": [v]}
        for (s, b), v in values.items()
    }
    complete(results, trials)
    analyze([results.where])
    said = capsys.readouterr().out
    rows = cells(said)
    # losses are 1 + these; 1.65 +- 4.303 x 0.15 / sqrt(3), 0.45 +- 4.303 x 0.05 / sqrt(3)
    rise = ["1.650", "1.277 to 2.023", "3", "+0.450", "+0.326 to +0.574", "3"]
    assert ["1", *rise[:2], *rise[3:5]] in rows
    assert [row[-2:] for row in rows if "0.01" in row] == [["+0.000", "-"]]


def test_what_only_one_figure_needs_stops_no_other(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    """A loss that is not finite leaves out the figures of the loss."""
    complete(results, {trial(): {"test": [0.1, 0.2, 0.3]}})
    rows = results.read("metrics", [trial().id]).to_pylist()
    odd = [r | ({"value": float("inf")} if r["metric"] == "loss" else {}) for r in rows]
    results.write("metrics", trial().id, odd)
    with pytest.warns(UserWarning, match="^figure learning_curves is left out: loss=inf in epoch"):
        analyze([results.where])
    assert f"{NAME}.png" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"^loss=inf in epoch 1"):
        analyze([results.where], figure=["learning_curves"])


def test_json_lines_are_the_points(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    where = whole(results)
    analyze([where], json=True, last=2)
    said = capsys.readouterr()
    every = [json.loads(line) for line in said.out.splitlines()]
    assert {line["figure"] for line in every} == {NAME, "accuracy_vs_width"}
    lines = [line for line in every if line["figure"] == NAME]
    expected = points(Data(results, last=2))
    assert len(lines) == len(expected) == 4
    for line, row in zip(lines, expected.to_dict("records"), strict=True):
        assert line.pop("figure") == NAME
        absent = {name for name in line if pd.isna(row[name])}
        assert all(line.pop(name) is None for name in absent)
        assert ("low" in absent) == (row["n"] == 1)
        assert {k: row[k] for k in line} == line
    cost = {"parameters", "kept_weights", "macs", "receptive_field"}
    assert cost | {"family", "split", "mean", "n"} <= lines[0].keys()
    assert f"{NAME}.png" in said.err


def test_the_spread_over_epochs_is_printed_in_points(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    complete(results, {trial(seed=s): {"test": [0.5, 0.6 + s / 10]} for s in range(2)})
    analyze([results.where], last=2)
    said = capsys.readouterr().out
    rows = cells(said)
    # runs 0.55 and 0.60; over epochs deviations +-0.05 and +-0.10 on two degrees of freedom
    # all four around their mean: 0.575 -+ 0.075, +-0.025, +0.125, -0.075
    assert rows[rows.index(["All rows: split test; family cp_resnet; width 8; depth 1; pointwise 1;"
                            " parameters 16,000"]) + 2][-3:] == ["3.5", "11.2", "9.6"]  # fmt: skip
    assert "a run is the mean of" not in said  # it was asked for


def test_the_study_s_own_last_epochs_are_the_default(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    complete(results, {trial(evaluation__last=2): {"test": [0.0, 0.4, 0.8]}})
    analyze([results.where])
    said = capsys.readouterr().out
    assert "a run is the mean of its last 2 evaluated epochs, as evaluation.last of all" in said
    assert "accuracy on test clips: 60.0 %" in said
    analyze([results.where], last=1)
    said = capsys.readouterr().out
    assert "a run is the mean of" not in said
    assert "accuracy on test clips: 80.0 %" in said


def test_trials_that_disagree_on_the_last_epochs_are_named(results: Results) -> None:
    runs = [trial(evaluation__last=2), trial(network__width=16)]
    complete(results, {one: {"test": [0.0, 0.4, 0.8]} for one in runs})
    with pytest.warns(UserWarning, match="^trials state evaluation.last=1 and 2: only the last"):
        analyze([results.where])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        analyze([results.where], last=2)


def test_differences_are_printed_and_saved(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    where = whole(results)
    analyze([where], figure=[NAME], differences=True)
    said = capsys.readouterr().out
    rows = cells(said)
    assert ["seen", "width 16 - width 8", "+30.0", "one run", "1 run"] in rows
    # gaps of -10, -20 and -30 at width 8: -20 +- 4.303 x 10 / sqrt(3)
    assert ["unseen - seen", "unseen - seen", "width 8", "-20.0", "-44.8 to +4.8", "3"] in rows
    written = pd.read_csv(Path(results.path("figures", "differences.csv")), keep_default_na=False)
    assert list(written.columns) == [
        *("split", "comparison", "at", "mean", "low", "high", "n", "unit"),
    ]
    assert "differences.csv (of 1 intervals of 95 %, expect 0.1 to miss)" in said
    analyze([where], figure=[NAME], differences=True, json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    compared = [line for line in lines if line.get("table") == "differences"]
    assert len(compared) == len(written)
    assert {"split", "comparison", "at", "mean", "n"} <= compared[0].keys()


def test_what_cannot_be_drawn_says_why_in_one_line(results: Results) -> None:
    complete(results, {trial(): {"test": [0.5]}})
    analyze([results.where])
    assert {f.stem for f in Path(results.path("figures")).iterdir()} == {NAME}
    reasons = {
        "accuracy_vs_width": "no two dense networks of one condition differ in width alone",
        "accuracy_vs_depth": "no two dense networks of one condition differ in depth alone",
        "accuracy_vs_pointwise": "no two dense networks of one condition differ in pointwise alone",
        "ways_of_scaling": "the dense networks of these trials are of one size: two ways of",
        "frontier_parameters": "1 configurations make no frontier, it takes 3",
        "frontier_weights": "1 configurations make no frontier, it takes 3",
        "frontier_macs": "1 configurations make no frontier, it takes 3",
        "frontier_latency": "no latency was measured: run overhear measure",
        "scaling_law_parameters": r"a law takes 4 sizes of one condition, there are at most 1 \(16",
        "scaling_law_weights": "no network of these is pruned: scaling_law_parameters shows the",
        "scaling_law_macs": "a law takes 4 sizes of one condition, there are at most 1",
        "scaling_law_clips": "a law takes 4 amounts of training clips of one condition, there are",
        "next_size": "a law takes 4 sizes of one condition, there are at most 1",
        "sparse_width": "no trial of these is pruned",
        "random_labels": "no trial of these was taught random labels",
        "accuracy_vs_fraction": "no two trials of one condition and size differ in split.fraction",
        "accuracy_vs_clips": "no two trials of one condition and size differ in split.clips",
        "vib_beta": "no two trials with a bottleneck differ in objective.beta alone",
        "learning_curves": "held-out clips were scored in 1 epochs of some trial, a curve needs 3",
        "effective_field_log": "no map of feature was computed: run `overhear erf`",
        "effective_field_linear": "no map of feature was computed: run `overhear erf`",
        "effective_field_scaled": "no map of feature was computed: run `overhear erf`",
        "frontend_filters": "no front end of these trials learnt",
        "disagreement_curves": "no complete trial measured how far views of a clip are apart",
        "devices": "no split of these trials was scored on two devices",
    }
    of_answers = ("classes", "classes_by_device", "confusion", "calibration", "hardest_clips")
    reasons |= dict.fromkeys(of_answers, "no complete trial has predictions")
    assert {NAME, *reasons} == {*FIGURES}
    for name, reason in reasons.items():
        with pytest.raises(ValueError, match=f"^figure {name}: {reason}"):
            analyze([results.where], figure=[name])
    with pytest.raises(ValueError, match=r"^--differences: no two trials .* devices$"):
        analyze([results.where], differences=True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nexxt_size", "--figure 'nexxt_size': no such figure (did you mean next_size?); docs/ref"),
        ("zzz", "--figure 'zzz': no such figure; docs/reference/figures.md lists all "),
    ],
)
def test_an_unknown_figure_names_the_nearest_and_where_all_are(
    results: Results, name: str, said: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}") as caught:
        analyze([results.where], figure=[name])
    assert len(str(caught.value)) < 200  # no list of forty names


def test_what_is_not_complete_is_counted_aloud(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed(results)
    with pytest.warns(
        UserWarning,
        match="^1 stopped, 2 failed, 1 running, 1 missing of 7 trials are in no figure$",
    ):
        analyze([results.where])
    counted = "7 trials: 2 complete, 1 stopped, 2 failed, 1 running, 1 missing"
    assert counted in capsys.readouterr().out


def test_a_setting_of_a_newer_version_that_differs_is_warned_of(results: Results) -> None:
    trials = [trial(seed=seed) for seed in (0, 1)]
    complete(results, {one: {"test": [0.5]} for one in trials})
    (name,) = results.names("manifest")
    path = results.path("manifest", f"{name}.parquet")
    plan: pa.Table = pq.read_table(path)
    pq.write_table(plan.append_column("network.wings", pa.array([2, 2])), path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what is the same in all trials tells none apart
        analyze([results.where], figure=[NAME])
    pq.write_table(plan.append_column("network.wings", pa.array([2, 3])), path)
    with pytest.warns(UserWarning, match="^trials differ in network.wings, .*: update Overhear$"):
        analyze([results.where], figure=[NAME])


def test_other_warnings(results: Results) -> None:
    complete(results, {trial(): {"test": [0.5]}})
    plan(results, "again", [trial(seed=1)], data_digest="d2")
    plan(results, "heard otherwise", [trial(seed=3)], data_digest="d2+m1")
    plan(results, "named anew", [trial(seed=4)], data_digest="2-d2")
    for seed in (1, 3, 4):
        measure(results, trial(seed=seed), {"test": [0.5]})
    for seed in (1, 2, 3, 4):
        end(results, trial(seed=seed))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        analyze([results.where], last=2)
    assert [str(w.message) for w in caught] == [
        "1 trials that no manifest plans are in no figure",
        "4 trials have fewer than last=2 evaluated epochs: all were averaged",
        "the trials saw 2 versions of synthetic: data_digest differs",
    ]


def test_studies_that_share_a_folder(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    """Each sees its own trials, also those that another planned later."""
    complete(results, {trial(): {"test": [0.5]}, trial(network__width=32): {"test": [0.7]}})
    plan(results, "later", [trial(network__width=32)], study="later")
    plan(results, "third", [trial(network__width=64)], study="third")
    analyze([results.where], study=["later"])
    assert "1 trials: 1 complete" in capsys.readouterr().out
    analyze([results.where], study=["s"])
    assert "2 trials: 2 complete" in capsys.readouterr().out
    with pytest.raises(
        ValueError, match=r"^--study latr: not planned in .*\(did you mean later\?\)$"
    ):
        analyze([results.where], study=["latr"])


def test_errors_are_one_line(results: Results, tmp_path: Path) -> None:
    plan(results, "launch", [trial()])
    with pytest.raises(ValueError, match=r"no complete trial to draw \(1 trials: 0 complete"):
        analyze([results.where])
    where = whole(results)
    with pytest.raises(ValueError, match=r"s3://bucket/study\S* is not on this machine: .*--out"):
        analyze(["s3://bucket/study?region=eu-west-1"])
    with pytest.raises(ValueError, match=r"s3://bucket/figures is not on this machine: .*--out"):
        analyze([where], out="s3://bucket/figures")
    (tmp_path / "taken").write_text("")
    with pytest.raises(ValueError, match=r"figures folder .*taken cannot be written .*--out"):
        analyze([where], out=str(tmp_path / "taken"))
    with pytest.raises(ValueError, match="not a results folder"):
        status(str(tmp_path))


def test_status_groups_failures_and_names_running_trials(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    running = mixed(results)[5]
    status(results.where)
    said = capsys.readouterr().out
    rows = cells(said)
    # nobody says that he sweeps into this folder
    assert "7 trials: 2 complete, 1 stopped, 2 failed, 1 cut off, 1 missing" in said
    example = "2 x OutOfMemoryError, as: OutOfMemoryError: CUDA out of memory. Tried to 3 it"
    assert ["failed", example] in rows
    assert ["cut off", f"{running.id}: epoch 2 of 3"] in rows
    assert ["time left", "about 1 s (1 at once)"] in rows
    assert ["driver", "none: run the same command again to resume"] in rows


def test_watch_ends_when_all_is_done(
    results: Results, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(results, "launch", [trial()])
    waits = []

    def work(seconds: float) -> None:
        waits.append(seconds)
        measure(results, trial(), {"test": [0.5]})
        if len(waits) == 2:
            end(results, trial())

    monkeypatch.setattr("time.sleep", work)
    status(results.where, watch=True)
    lines = capsys.readouterr().out.splitlines()
    assert waits == [2.0, 2.0]
    nobody = "; driver: none: run the same command again to resume"
    assert [line.partition("0 failed, ")[2].partition("; about")[0] for line in lines] == [
        f"0 cut off, 1 missing{nobody}", f"1 cut off, 0 missing{nobody}", "0 running, 0 missing",
    ]  # fmt: skip


def test_watch_ends_quietly_at_control_c(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    plan(results, "launch", [trial()])

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    status(results.where, watch=True)


def test_watch_redraws_in_a_terminal(
    results: Results, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    complete(results, {trial(): {"test": [0.5]}})
    monkeypatch.setenv("FORCE_COLOR", "1")
    status(results.where, watch=True)
    assert "1 trials: 1 complete" in capsys.readouterr().out


def test_commands_take_their_options(results: Results, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(analyze)
    app.command()(status)
    words = ["analyze", whole(results), "--figure", NAME, "--out", str(tmp_path / "f")]
    said = CliRunner().invoke(app, [*words, "--format", "svg", "--last", "2", "--json"])
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout.splitlines()[0])["split"] == "seen"
    assert (tmp_path / "f" / f"{NAME}.svg").exists()
    assert CliRunner().invoke(app, ["status", results.where]).exit_code == 0


def test_importing_the_commands_is_light() -> None:
    heavy = (
        "{'pandas', 'numpy', 'pyarrow', 'matplotlib', 'seaborn', 'scipy', 'torch', 'ray', 'rich'}"
    )
    commands = "from analysis.commands import analyze, choose, fields, report, status"
    code = f"import sys; {commands}; print({heavy} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def test_analyze_runs_without_torch_and_ray(results: Results) -> None:
    code = (
        "import sys; from analysis.commands.analyze import analyze; "
        f"analyze([{whole(results)!r}], json=True); "
        "print({'torch', 'ray'} & set(sys.modules), file=sys.stderr)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stderr.splitlines()[-1] == "set()"


def test_what_intervals_are_over_can_be_asked_for(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three folds x three seeds: folds unless repeats are asked for; what is not there is told."""
    runs = [trial(seed=s, split__fold=f) for s in range(3) for f in (1, 2, 3)]
    complete(results, {one: {"test": [0.5 + one.seed / 50 + one.split.fold / 10]} for one in runs})
    folder = Path(results.path("figures"))
    found = {}
    for unit in ("", "repeats"):
        analyze([results.where], figure=[NAME], unit=unit)
        (found[unit],) = pd.read_csv(folder / f"{NAME}.csv").to_dict("records")
    capsys.readouterr()
    assert [(row["n"], row["unit"]) for row in found.values()] == [
        (3, "folds"),
        (3, "repeats of 3 folds"),
    ]
    wide, narrow = (row["high"] - row["low"] for row in found.values())
    # folds differ by .1, seeds by .02; a score interval is the shorter, the wider it would be
    assert 4 < wide / narrow < 5
    with pytest.raises(ValueError, match=r"^--unit runs: no such unit, one of folds, repeats"):
        analyze([results.where], unit="runs")
    with pytest.raises(ValueError, match=r"^--unit devices: the scores of three devices"):
        analyze([results.where], figure=[NAME], unit="devices")


def many(results: Results) -> None:
    """Conditions of long names at three widths: 24 points on two splits."""
    runs = [
        trial(network__width=w, network__damping=d, split__fraction=f, training__weight_decay=k)
        for w in (8, 16, 32)
        for d in (0.0, 0.99)
        for f in (0.05, 1.0)
        for k in (0.0, 1e-4)
    ]
    complete(results, {one: {"seen": [0.5, 0.6], "unseen": [0.4, 0.5]} for one in runs})


def test_at_80_columns_nothing_that_tells_rows_apart_is_lost(
    results: Results, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The spreads make room, and say so; long names are folded, never cut."""
    monkeypatch.setenv("COLUMNS", "80")
    many(results)
    analyze([results.where], figure=[NAME], every=True)
    said = capsys.readouterr().out
    lines = said[: said.index(f"{NAME}: /")].splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in said
    found = {
        (row[0], width)
        for row in cells(said)
        for width in ("8", "16", "32")
        if row[0] in ("seen", "unseen") and width in row
    }
    assert len(found) == 6
    names = set(pd.read_csv(Path(results.path("figures", f"{NAME}.csv")))["family"])
    words = {word for name in names for word in name.split()}
    assert words <= set(said.split())
    assert "All rows: depth 1; pointwise 1" in said
    complete(results, {trial(seed=s): {"test": [0.5, s / 9]} for s in range(3)})
    monkeypatch.setenv("COLUMNS", "40")
    analyze([results.where], figure=[NAME], study=["s"])
    assert "No room for: " in capsys.readouterr().out


def test_twenty_rows_unless_all_are_asked_for(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    many(results)
    analyze([results.where], figure=[NAME])
    said = capsys.readouterr().out
    assert len([row for row in cells(said) if row[0] in ("seen", "unseen")]) == 20
    assert f"... and 28 more rows: --all or {NAME}.csv" in said
    analyze([results.where], figure=[NAME], every=True)
    said = capsys.readouterr().out
    assert len([row for row in cells(said) if row[0] in ("seen", "unseen")]) == 48


def test_status_fits_80_columns(
    results: Results, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    trials = [trial(seed=s) for s in range(60)]
    plan(results, "launch", trials)
    for one in trials[:30]:
        measure(results, one, {"test": [0.5]})
    for one in trials[30:]:
        end(results, one, "failed", f"Error{one.seed}: {'words ' * 30}")
    for every, shown in ((False, 20), (True, 30)):
        status(results.where, every=every)
        said = capsys.readouterr().out
        assert max(map(len, said.splitlines()[1:])) <= 80
        assert said.count(": epoch 1 of 3") == shown
        assert said.count("1 x Error") == shown
        assert said.count("... and 10 more: --all") == (0 if every else 2)


def test_figures_as_a_paper_asks_for_them(results: Results, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(analyze)
    words = [whole(results), "--figure", NAME, "--out", str(tmp_path), "--format", "svg"]
    words += ["--width", "3.3in", "--height", "50mm", "--font-size", "7", "--no-title"]
    said = CliRunner().invoke(app, [*words, "--label", "Unseen devices=New"])
    assert said.exit_code == 0, said.output
    drawing = (tmp_path / f"{NAME}.svg").read_text()
    assert f'width="{3.3 * 72:g}pt" height="{50 / 25.4 * 72:.6f}pt"' in drawing
    assert ">New<" in drawing
    assert "Unseen devices" not in drawing
    assert "Accuracy against parameters" not in drawing
    said = CliRunner().invoke(app, [*words[:5], "--dpi", "100", "--width", "3.3in"])
    assert said.exit_code == 0, said.output
    header = (tmp_path / f"{NAME}.png").read_bytes()[16:20]
    assert int.from_bytes(header) == 330


def test_a_label_that_no_figure_has_is_named(results: Results) -> None:
    with pytest.warns(UserWarning, match="^--label bsae: no figure drawn here has this text$"):
        analyze([whole(results)], figure=[NAME], label=["bsae=Baseline"])
    with pytest.raises(ValueError, match=r"^--label 'base': write OLD=NEW"):
        analyze([whole(results)], label=["base"])


def test_every_option_has_help() -> None:
    app = typer.Typer()
    app.command()(analyze)
    app.command()(status)
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        for option in command.params:
            assert option.help, f"{name} {option.name}"
