"""The command line as a person meets it: what it prints, and one clear line for every mistake."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from overhear import errors
from overhear.command import app, main
from scaling.results.records import Results
from scaling.settings import leaves
from scaling.settings.recipes import RECIPES


def run(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def commands(group: Any, *above: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that name it, sub-commands included."""
    for name, command in group.commands.items():
        yield (*above, name), command
        if hasattr(command, "commands"):
            yield from commands(command, *above, name)


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_and_option_has_help(words: tuple[str, ...]):
    said = run(*words, "--help")
    assert "Usage" in said
    assert "<bool>" not in said
    assert run(*words, "-h") == run(*words, "--help")
    command = COMMANDS[words]
    assert command.help
    assert [each.name for each in command.params if not each.help] == []


def test_the_version_is_the_packages(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"1.2 of {name}")
    assert run("--version") == "overhear 1.2 of overhear-study\n"


def test_shells_complete_studies_recipes_and_settings(monkeypatch: pytest.MonkeyPatch):
    def completed(*words: str) -> str:
        asked = {"_OVERHEAR_COMPLETE": "complete_bash", "COMP_CWORD": str(len(words))}
        asked["COMP_WORDS"] = " ".join(("overhear", *words))
        return CliRunner().invoke(app, [], env=asked, prog_name="overhear").stdout.strip()

    assert completed("stu") == "studies"
    assert completed("sweep", "quicks") == "quickstart"
    assert completed("train", "--recipe", "few_data_") == "few_data_esc10"
    assert completed("train", "network.wi") == "network.width="


def test_settings_say_type_bound_default_and_meaning():
    said = run("settings", "network.damping")
    assert (
        said.splitlines()[0]
        == "network.damping: float; 0 to 1; default 0.0; of all but mfcc, passt"
    )
    assert said.splitlines()[1].startswith("    damping of the kernels along frequency; 0: none")
    assert run("settings", "network.width").startswith("network.width: int; 1 to 4,096; required\n")
    facts = [json.loads(line) for line in run("settings", "--json").splitlines()]
    assert [fact["name"] for fact in facts] == list(leaves())
    assert max(map(len, run("settings").splitlines())) <= 80
    with pytest.raises(ValueError, match=r"netwrk: no such setting \(did you mean network\?\)"):
        run("settings", "netwrk")


def test_recipes_are_listed_with_a_sentence_each():
    said = run("recipes").splitlines()
    assert said[::2] == list(RECIPES)
    assert all(
        line.startswith("  ") and line.endswith(".") and len(line) <= 90 for line in said[1::2]
    )
    facts = [json.loads(line) for line in run("recipes", "--json").splitlines()]
    assert [fact["name"] for fact in facts] == list(RECIPES)


def test_studies(monkeypatch: pytest.MonkeyPatch):
    facts = [json.loads(line) for line in run("studies", "--json").splitlines()]
    assert {"quickstart", "esc10_width"} <= {fact["name"] for fact in facts}
    assert all(fact.keys() == {"name", "question", "source", "trials", "claims"} for fact in facts)
    sizes = {fact["name"]: fact["trials"] for fact in facts}
    assert sizes["quickstart"] == 12
    monkeypatch.setattr("sweeps.study.names", lambda: ["quickstart"])  # all are counted above
    assert run("studies", "--count").startswith("quickstart (12 trials)\n")


def test_studies_are_listed_without_building_a_trial(monkeypatch: pytest.MonkeyPatch):
    """The list takes a moment; 14,000 trials would take seconds."""
    monkeypatch.setattr("sweeps.study.trials_of", None)
    listed = run("studies").splitlines()
    assert listed[listed.index("quickstart") + 1].startswith("  Is a wider network")


def test_train_dry_run_is_the_published_cost():
    words = ["train", "--recipe", "quickstart", "network.width=32", "sound.rate=22050"]
    words += ["sound.seconds=10", "sound.features.window=2048", "sound.features.hop=512"]
    words += ["sound.features.mels=256", "--dry-run"]
    (line,) = run(*words, "--json").splitlines()
    facts = json.loads(line)
    assert facts["parameters"] == 159_476
    assert facts["kept_weights"] == 157_728
    assert round(facts["macs"] / 1e9, 3) == 0.522
    assert facts["receptive_field"] == 167
    assert "159,476" in run(*words)


TINY = ["network.width=2", "training.epochs=2", "training.warmup=1", "sound.features.mels=32"]


def test_train_leaves_records(tmp_path: Path):
    out = run("train", *TINY, "--out", str(tmp_path), "--threads", "1")
    assert "complete: epoch 2/2, accuracy" in out
    assert Results(tmp_path).read("outcomes").to_pylist()[0]["status"] == "complete"


@pytest.mark.filterwarnings("ignore:the maximum field")
def test_fields_are_computed_kept_and_drawn(tmp_path: Path):
    run("train", *TINY, "network.initialization=he", "--out", str(tmp_path), "--threads", "1")
    run("train", *TINY, "network.damping=0.99", "--out", str(tmp_path), "--threads", "1")
    out = run("erf", str(tmp_path), "--threads", "1")
    assert "damped 0.99" in out
    assert "sigma_f" in out
    maps = Results(tmp_path).read("maps").to_pandas()
    assert list(maps["split"]) == ["unseen"] * 2
    assert (maps["inside"] == 1).all()
    figures = {path.name for path in (tmp_path / "figures").iterdir()}
    stem = "effective_field-feature-unseen"
    assert figures == {f"{stem}.csv", f"{stem}-linear.png", f"{stem}-log.png"}
    before = (tmp_path / "maps").stat().st_mtime_ns
    run("erf", str(tmp_path), "--format", "svg", "--threads", "1")
    assert (tmp_path / "maps").stat().st_mtime_ns == before, "what is there is not computed again"
    for words, line in (
        (["--split", "moon"], "--split moon: trial .* has"),
        (["--trial", "abc"], "--trial abc: no trial of .* starts with that"),
        (["--kind", "class"], "--kind class needs the class: add --label"),
        (["--study", "width"], "--study width: not planned in .*train"),
    ):
        with pytest.raises(ValueError, match=line):
            run("erf", str(tmp_path), *words)


def test_dry_run_starts_nothing(tmp_path: Path):
    words = ["sweep", "quickstart", "--dry-run", "--speed", "5", "--out", str(tmp_path / "r")]
    said = run(*words)
    assert "12 of 12 trials to run" in said
    claims, said = said.split("\nlabel ")
    assert claims.startswith("claims stated: 1\n- width helps")
    listed = f"label {said}".splitlines()[:13]
    assert listed[0].split() == ["label", "trial", "parameters", "MACs", "time"]
    assert re.fullmatch(
        r"W16-damped-seed1 +[0-9a-f]{12} +40,836 +4\.54 M +30 s", listed[-1].strip()
    )
    assert max(map(len, listed)) <= 80
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["forecasts"]
    facts = run(*words, "--json", "--set", "network.width=4", "--repeats", "3")
    lines = [line for line in facts.splitlines() if line.startswith("{")]
    assert len(lines) == 6  # widths collapse; two dampings, three seeds


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without datasets, where they are looked for."""
    monkeypatch.setenv("OVERHEAR_DATA", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_dry_run_needs_no_dataset(
    nothing: Path, esc10: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    """All that does not depend on clips is what it is with them; what is missing is said."""

    def facts(*words: str) -> list[dict[str, object]]:
        lines = CliRunner().invoke(app, ["sweep", *words], catch_exceptions=False).stdout
        return [json.loads(line) for line in lines.splitlines()]

    words = ["esc10_width", "--dry-run", "--json", "--speed", "1"]
    without = facts(*words)
    assert not (nothing / "results").exists()
    with_ = facts(*words, "--root", str(esc10))
    same = ("trial", "label", "parameters", "kept_weights", "macs", "receptive_field", "status")
    for key in same:
        assert [row[key] for row in without] == [row[key] for row in with_], key
    assert len(without) == 15
    assert {row["train_macs"] for row in without} == {row["seconds"] for row in without} == {None}
    (missing,) = {row["missing"] for row in without}
    assert re.search(r"^esc10 not found at .*`overhear data download esc10` fetches it", missing)


def test_a_dry_run_without_a_dataset_for_people(nothing: Path):
    ended = CliRunner().invoke(app, ["sweep", "width", "--dry-run"])
    assert ended.exit_code == 0
    assert "42 of 42 trials to run into " in ended.stdout
    assert "39,906,836" in ended.stdout.replace("\n", "")
    assert ended.stderr.startswith("missing: tau2020_mobile not found at ")
    assert "overhear data download" not in ended.stderr, "it must be fetched by hand"
    own = CliRunner().invoke(app, ["sweep", "own_width", "--dry-run"])
    assert own.exit_code == 0
    assert "how many classes" not in own.stdout
    assert own.stderr == "missing: folders has no default folder: give yours with --root\n"
    with pytest.raises(ValueError, match="not found at"):
        run("sweep", "width")
    with pytest.raises(ValueError, match=r"these trials need .*: set OVERHEAR_DATA"):
        run("sweep", "vib_table", "--dry-run", "--root", str(nothing))


def test_train_prices_without_a_dataset(nothing: Path, esc10: Path):
    words = ["train", "--recipe", "esc10", "--dry-run", "--json"]
    without = CliRunner().invoke(app, words)
    beside = json.loads(run(*words, "--root", str(esc10)))
    assert (beside.pop("train_clips"), beside.pop("test_clips")) == (320, 80)
    assert beside.pop("train_macs") == 3 * beside["macs"] * 320 * 60
    assert json.loads(without.stdout) == beside
    assert without.stderr.startswith("missing: esc10 not found at ")
    assert without.stderr.count("; `overhear data download esc10` fetches it") == 1
    assert "; ;" not in without.stderr
    own = CliRunner().invoke(app, [*words, "sound.dataset=folders"])
    assert json.loads(own.stdout).keys() == {"trial", "label"}, (
        "nobody knows how many classes it has"
    )


def test_data():
    assert "synthetic" in run("data", "list")
    facts = json.loads(run("data", "describe", "synthetic", "--json"))
    assert len(facts["label"]) == 10
    assert len(facts["device"]) >= 4
    assert "all readable" in run("data", "check", "synthetic")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["train", "--recipe", "quickstrat"],
            r"--recipe quickstrat: no such recipe \(did you mean quickstart\?\)",
        ),
        (
            ["train", "network.widht=3"],
            r"network.widht: no such setting \(did you mean network.width\?\)",
        ),
        (["train", "network.width"], r"^KEY=VALUE 'network.width' is not KEY=VALUE, such as"),
        (
            ["train", "network.width=0"],
            r"network.width=0: must be at least 1",
        ),
        (["train", "split.fold=9"], r"fold=9"),
        (["train", "split.train_devices=z"], r"z"),
        (["train", "sound.dataset=esc11"], r"esc11: no such dataset \(did you mean esc10\?\)"),
        (["train", "sound.dataset=esc10", "--root", "nowhere"], r"not found at nowhere"),
        (["train", "--device", "tpu"], r"^--device 'tpu' is not auto, cpu, cuda or cuda:N"),
        (["train", "--threads", "1000000000"], r"^--threads 1,000,000,000: this machine has"),
        (["sweep", "quickstart", "--device", "tpu"], r"^--device 'tpu' is not auto"),
        (["sweep", "quickstart", "--device", "cuda:999"], r"device=cuda:999: torch finds "),
        (
            ["sweep", "quickstart", "--precision", "float8"],
            r"^--precision 'float8' is not auto, fl",
        ),
        (["sweep", "quickstart", "--cpus-per-trial", "9999"], r"9999: this machine has \d+ CPU"),
        (["sweep", "quickstart", "--gpus-per-trial", "99"], r"99: this machine has \d+ GPU"),
        (["sweep", "quickstart", "--memory-per-trial", "900TiB"], r"this machine has .* of memory"),
        (
            [
                "sweep",
                "quickstart",
                "--device",
                "cuda:1",
                "--gpus-per-trial",
                "1",
                "--address",
                "a:1",
            ],
            r"--device cuda:1 with --gpus-per-trial 1: each trial sees only the GPUs that Ray giv",
        ),
        (["sweep", "quickstart", "--device", "tpu", "--address", "a:1"], r"--device 'tpu'"),
        (["sweep", "quikstart"], r"quikstart.*did you mean quickstart"),
        (["sweep", "quickstart", "--set", "seed=-1"], r"seed=-1: must be at least 0"),
        (["sweep", "quickstart", "--set", "split.fold=77", "--dry-run"], r"fold=77: .*folds 1"),
        (["data", "describe", "synthetics"], r"did you mean synthetic\?"),
        (["data", "describe", "UrbanSound8K"], r"did you mean urbansound8k\?"),
        (["sweep", "Quickstart"], r"did you mean quickstart\?"),
        (["train", "--recipe", "ESC10"], r"did you mean esc10\?"),
        (["sweep", "quickstart", "--data", "esc-10"], r"did you mean esc10\?"),
        (["sweep", "quickstart", "--set", "seed=1_000"], r"^seed='1_000': write a whole number"),
        (
            ["sweep", "quickstart", "--set", "network.width= 8"],
            r"^network.width=' 8': write a who",
        ),
        (
            ["sweep", "quickstart", "--set", "training.rate=1_0"],
            r"^training.rate='1_0': write a",
        ),
        (["train", "=3"], r"'=3' is not KEY=VALUE, such as network.width=64"),
        (["train", "seed=3", "seed=4"], r"^seed is set to 3 and to 4: name it once"),
        (["train", "--out", " "], r"^--out is empty: give it a value"),
        (["train", "--device", ""], r"^--device is empty"),
        *(
            (["sweep", "quickstart", f"--{name}", ""], rf"^--{name} is empty: give it a value, or")
            for name in (
                "out",
                "data",
                "root",
                "address",
                "tensorboard",
                "mlflow",
                "wandb",
                "precision",
            )
        ),
        *(
            (
                ["sweep", "quickstart", "--hours-per-trial", hours],
                r"bounds: above 0, at most 100,000",
            )
            for hours in ("0", "-1", "1e308")
        ),
        (["sweep", "quickstart", "--gpus-per-trial", "-1"], r"-1 is out of bounds: 0 or more"),
        (
            ["sweep", "quickstart", "--frontend-backend", "nn"],
            r"^--frontend-backend 'nn' is not a",
        ),
        (
            ["sweep", "quickstart", "--memory-per-trial", "٤GiB"],
            r"is not a size: write a number and a u",
        ),
        (
            ["sweep", "quickstart", "--speed", "-1", "--dry-run"],
            r"^--speed -1 is out of bounds: 1e-0",
        ),
        (["analyze", "nowhere"], r"nowhere"),
        (["status", "nowhere"], r"^RESULTS nowhere is not a results folder \(it does not exist\)"),
        (["status", str(Path(__file__))], r"is not a results folder \(it is a file\)"),
        (["predict", ".", "a.wav"], r"is not a results folder \(it has no manifest\)"),
        (["predict", "s3://b/r", "no.wav"], r"^CLIP\|FOLDER no.wav does not exist: name a record"),
        (["predict", "s3://b/r", ".", "--hop", "0"], r"^--hop 0 is out of bounds: above 0"),
        (["claims", "s3://b/r", "--alpha", "2"], r"^--alpha 2 is out of bounds: above 0, at most"),
        (["claims", "s3://b/r", "--keep", "a.txt"], r"^--keep a.txt does not end in .csv"),
        (["analyze", "s3://b/r", "--width", "3x"], r"^--width '3x' is not a size from 1in to 50in"),
        (["analyze", "s3://b/r", "--dpi", "5"], r"^--dpi '5' is not a whole number from 30 to 2,"),
        (["analyze", "s3://b/r", "--format", "jpg"], r"^--format 'jpg' is not one of 'png', 's"),
        (["analyze", "s3://b/r", "--unit", "fold"], r"did you mean folds\?"),
        (["export", "s3://b/r", "--to", "onx"], r"^--to 'onx' is not .* \(did you mean onnx\?\)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_get_one_line(words: list[str], line: str, monkeypatch, capsys, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["overhear", *words])
    assert errors.ran(app, debug=False) == 2
    said = capsys.readouterr().err.removeprefix("planning the study\n").removeprefix("overhear: ")
    assert re.search(line, said)
    assert said.count("\n") == 1
    assert not list(tmp_path.glob("results/*/metrics"))


@pytest.mark.parametrize("option", ["--repeats", "--cpus-per-trial", "--max-concurrent"])
@pytest.mark.parametrize("value", ["1_0", "٧", "0", "-1", "3.0", "", "9" * 30])
def test_whole_numbers_are_in_digits(option: str, value: str):
    words = ["sweep", "quickstart", "--dry-run", "--speed", "1", f"{option}={value}"]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 2
    assert "not a whole number, 1 or more" in " ".join(ended.output.replace("│", " ").split())


@pytest.mark.parametrize("option", ["--speed", "--hours-per-trial", "--gpus-per-trial"])
@pytest.mark.parametrize("value", ["nan", "inf", "1_0", "٧", "", "1e400"])
def test_numbers_are_finite(option: str, value: str):
    words = ["sweep", "quickstart", "--dry-run", "--speed", "1", f"{option}={value}"]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 2
    assert "is not a number, such as 0.5" in " ".join(ended.output.replace("│", " ").split())


def test_main_turns_them_into_exit_code_2(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["overhear", "train", "network.widht=3"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "overhear: network.widht: no such setting (did you mean network.width?)\n"
    )
    monkeypatch.setattr("sys.argv", ["overhear", "train", "network.widht=3", "--debug"])
    with pytest.raises(ValueError, match=r"network\.widht"):
        main()
