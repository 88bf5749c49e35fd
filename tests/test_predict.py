"""Recordings as a model hears them: samples, windows, answers, and how the command prints them."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from test_model import brief, complete, ended
from typer.testing import CliRunner

from overhear.command import app
from scaling import machine
from scaling.results.records import Results
from scaling.settings import Trial, changed
from scaling.shipping import predict as predicting
from scaling.shipping import printed, windows
from scaling.shipping.model import Model
from scaling.shipping.predict import predict
from scaling.sound import datasets, frontends
from scaling.sound.packing import pack
from scaling.sound.store import Store
from scaling.training import classifier

__all__ = ["complete"]  # a fixture

RATE = 16_000
FORMATS = {  # ending, subtype, Hz, channels
    "48_khz_stereo": ("wav", "PCM_24", 48_000, 2),
    "8_bit": ("wav", "PCM_U8", 11_025, 1),
    "float": ("wav", "FLOAT", RATE, 1),
    "flac": ("flac", "PCM_16", 22_050, 2),
    "ogg": ("ogg", "VORBIS", 32_000, 1),
    "mp3": ("mp3", "MPEG_LAYER_III", 44_100, 2),
}
PROBABILITIES = ["p(a)", "p(b)", "p(c)"]


def write(path: Path, seconds: float, kind: str = "float", level: float = 0.3) -> Path:
    """A recording of noise."""
    _, subtype, rate, channels = FORMATS[kind]
    random = np.random.default_rng(len(path.name))
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = (level * random.uniform(-1, 1, (round(seconds * rate), channels))).astype(np.float32)
    soundfile.write(path, samples, rate, subtype)
    return path


@pytest.fixture
def model(trial: Trial, here: machine.Machine) -> Model:
    """Of three classes and clips of one second, as its weights are drawn."""
    drawn = changed(trial, {"network.initialization": "he"})
    front = frontends.build(drawn.sound.features, RATE)
    untrained = classifier.untrained(drawn, 3, front, here)
    return Model(drawn, ("a", "b", "c"), front, untrained).eval().requires_grad_(False)


def test_a_file_is_heard_as_a_packed_clip(tmp_path: Path):
    paths = [
        write(tmp_path / "x" / f"{kind}.{ending}", 0.7, kind)
        for kind, (ending, *_) in FORMATS.items()
    ]
    store = pack(datasets.scan("folders", tmp_path), RATE, progress=False)
    rows = store.table.reset_index().set_index("clip")["index"]
    for path in paths:
        heard = windows.read(path, RATE).wave_T
        packed = store.batch(np.array([rows[f"x/{path.name}"]]), len(heard) + 1)[0].numpy()
        assert len(heard) > 0.6 * RATE
        assert (packed[:-1] == heard).all()
        assert packed[-1] == 0, "nothing is left of it"


@pytest.mark.parametrize(
    ("samples", "hop", "begin"),
    [
        (1, 100, [0]),
        (100, 100, [0]),
        (105, 100, [0]),  # a spare twentieth
        (106, 100, [0, 6]),
        (300, 100, [0, 100, 200]),
        (304, 100, [0, 100, 200]),
        (340, 100, [0, 100, 200, 240]),
        (200, 50, [0, 50, 100]),
        (210, 50, [0, 50, 100, 110]),
    ],
)
def test_windows_hear_all_of_a_recording(samples: int, hop: int, begin: list[int]):
    assert windows.starts(samples, 100, hop) == begin


def test_the_whole_is_the_mean_of_its_windows(model: Model, tmp_path: Path):
    long = write(tmp_path / "long.flac", 2.5, "flac")
    found = predict(model, long)
    assert found["part"].tolist() == ["window"] * 3 + ["whole"]
    assert found["start"].tolist() == [0, 1, 1.5, 0]
    assert found["end"].tolist() == pytest.approx([1, 2, 2.5, 2.5])
    wave_T = torch.from_numpy(windows.read(long, RATE).wave_T) / 32768
    waves_BT = torch.stack([wave_T[s : s + RATE] for s in (0, RATE, len(wave_T) - RATE)])
    expected = model.probabilities(model(waves_BT)).numpy()
    chances = found[PROBABILITIES].to_numpy()
    assert chances[:3] == pytest.approx(expected, abs=1e-5)
    assert chances[3] == pytest.approx(expected.mean(axis=0), abs=1e-5)
    assert found["label"].tolist() == [model.labels[y] for y in chances.argmax(axis=1)]
    assert found["probability"].tolist() == chances.max(axis=1).tolist()
    assert len(predict(model, [long], hop=0.5)) == 4 + 1


@pytest.mark.parametrize(("fill", "how"), [("zeros", "with zeros"), ("tile", "by repeating it")])
def test_a_short_recording_is_filled_as_in_training(
    model: Model, tmp_path: Path, fill: str, how: str
):
    model.trial = changed(model.trial, {"sound.fill": fill})
    short = write(tmp_path / "short.wav", 0.4)
    found = predict(model, [short]).iloc[0]
    assert (found["part"], found["start"], found["end"]) == ("whole", 0, 0.4)
    assert found["note"] == f"shorter than 1 s: filled up {how}"
    wave_T = windows.read(short, RATE).wave_T
    filled_T = np.resize(wave_T, RATE) if fill == "tile" else np.pad(wave_T, (0, RATE - 6400))
    logits_BY = model(torch.from_numpy(filled_T)[None] / 32768)
    expected = model.probabilities(logits_BY)[0].tolist()
    assert found[PROBABILITIES].tolist() == pytest.approx(expected, abs=1e-5)


def test_no_answer_depends_on_its_batch(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for number, seconds in enumerate((0.5, 3.2, 1.0, 1.7)):
        write(tmp_path / f"{number}.wav", seconds)
    together = predict(model, [tmp_path])
    monkeypatch.setattr(predicting, "BATCH", 1)
    pd.testing.assert_frame_equal(predict(model, [tmp_path]), together, atol=1e-5)
    assert together["file"].nunique() == 4


def test_what_cannot_be_read_has_no_label_and_says_why(model: Model, tmp_path: Path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("no sound")
    write(tmp_path / "whole.wav", 1.0)
    write(tmp_path / "quiet.wav", 1.0, level=0)
    found = predict(model, [tmp_path, tmp_path / "none.wav"]).set_index("file")
    notes = {Path(name).stem: note for name, note in found["note"].items()}
    assert notes["empty"] == "the file is empty: leave it out"
    assert notes["text"].startswith("format not recognised: convert it")
    assert notes["none"] == "no such file"
    assert (notes["quiet"], notes["whole"]) == ("silence", "")
    assert found["label"].isna().sum() == found["probability"].isna().sum() == 3


def test_folders_are_walked_and_what_is_no_sound_is_counted(tmp_path: Path):
    for name in ("b.wav", "a/z.wav", "a/c.ogg"):
        write(tmp_path / name, 0.1, "ogg" if name.endswith("ogg") else "float")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "a" / "odd.xyz").write_text("x")
    with pytest.warns(
        UserWarning, match=r"^2 files below .* are not sound files: a/odd.xyz, notes.txt$"
    ):
        found = windows.find([tmp_path / "b.wav", tmp_path])
    assert [path.name for path in found] == ["b.wav", "c.ogg", "z.wav"]
    (tmp_path / "void").mkdir()
    with pytest.raises(ValueError, match=r"void: no recordings found there \(.*\.wav"):
        windows.find([tmp_path / "void"])


@pytest.mark.parametrize("hop", [0.0, 0.009, 1.1, -1.0])
def test_a_hop_is_a_part_of_a_clip(model: Model, tmp_path: Path, hop: float):
    with pytest.raises(ValueError, match=f"^hop {hop:g} must be from 0.01 to 1 s"):
        predict(model, write(tmp_path / "x.wav", 1.0), hop)


# The command


def told(*words: object, code: int = 0) -> tuple[str, str]:
    """What the command prints: answers, and all else."""
    result = CliRunner().invoke(app, ["predict", *map(str, words)], env={"COLUMNS": "80"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder of a long recording, a short one and one that is none."""
    write(tmp_path / "clips" / "long.wav", 2.5)
    write(tmp_path / "clips" / "short.flac", 0.5, "flac")
    (tmp_path / "clips" / "text.wav").write_text("x")
    return tmp_path / "clips"


def test_a_table_of_answers(complete: Results, trial: Trial, clips: Path):
    out, err = told(complete.where, clips, "--top", 2, code=1)
    table = out[: out.index("\n", out.index(" whole "))]
    assert max(map(len, table.splitlines())) <= 80
    assert " 1.5 to 2.5 " in out
    assert " whole " in out
    assert "text.wav" not in out
    assert "short.flac: shorter than 1 s: filled up with zeros" in out.replace("\n", "")
    assert out.endswith("whole: the mean of the windows' probabilities\n")
    assert f"trial {brief(trial).id}, the only one with weights\n" in err
    assert "probabilities: not calibrated: the trial has no validation clips\n" in err
    assert "text.wav: format not recognised" in err


def test_lines_and_columns_for_programs(complete: Results, trial: Trial, clips: Path):
    begin = brief(trial).id[:6]
    out, _ = told(complete.where, clips, "--trial", begin, "--format", "json", code=1)
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["part"] for row in rows] == ["window"] * 3 + ["whole"] * 3
    for row in rows[:-1]:
        first = next(iter(row["probabilities"].items()))
        assert first == (row["label"], row["probability"])
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert (rows[-1]["label"], rows[-1]["probabilities"]) == (None, {})
    (clips / "text.wav").unlink()
    out, _ = told(complete.where, clips, "--format", "csv")
    (clips / "answers.csv").write_text(out)
    frame = pd.read_csv(clips / "answers.csv")
    assert frame["label"].tolist() == [row["label"] for row in rows[:-1]]
    assert [f"p({name})" for name in sorted(rows[0]["probabilities"])] == [*frame.columns[7:]]
    out, _ = told(complete.where, clips / "long.wav", "--format", "csv", "--top", 2)
    assert out.splitlines()[0].endswith(",note,label_2,probability_2")


def test_probabilities_are_calibrated_where_validation_clips_are(
    trial: Trial, store: Store, here: machine.Machine, clips: Path, tmp_path: Path
):
    validated = changed(brief(trial), {"split.validation_fold": 2})
    results = ended(validated, store, here, tmp_path / "validated")
    out, err = told(results.where, clips / "short.flac", "--format", "json")
    assert "probabilities: calibrated on its validation clips (temperature " in err
    temperature = float(err.split("(temperature ")[1].split(")")[0])
    chances = np.array([*json.loads(out)["probabilities"].values()])
    plain = predict(loaded := loaded_from(results, validated), clips / "short.flac")
    logits = np.log(plain[[f"p({name})" for name in loaded.labels]].to_numpy()[0])
    warm = np.exp(logits / temperature)
    assert chances == pytest.approx(np.sort(warm / warm.sum())[::-1], rel=0.05)


class Terminal(io.StringIO):
    """A stream that a person looks at."""

    def isatty(self) -> bool:
        return True


def test_a_progress_bar_takes_no_answer_along(
    model: Model, clips: Path, monkeypatch: pytest.MonkeyPatch
):
    """rich sends whatever is printed beside its bar to where that stands."""
    err, out = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(predicting, "BATCH", 1)  # answers come while the bar stands there
    assert printed.show(model, [str(clips)], None, None, printed.Form.JSON) == 1
    assert len([json.loads(line) for line in out.getvalue().splitlines()]) == 6
    assert "listening" in err.getvalue()
    assert "text.wav: format not recognised" in err.getvalue().replace("\n", "")


def loaded_from(results: Results, trial: Trial) -> Model:
    from scaling.shipping.model import load

    return load(results, trial.id)
