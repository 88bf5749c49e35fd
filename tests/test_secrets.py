"""Secrets: what people write into an address is printed nowhere, however they misspell it."""

import sys
from pathlib import Path

import pytest

from overhear.command import main
from scaling.results.outcome import Outcome, Status
from scaling.results.records import Results
from scaling.results.run_trial import Progress, stop
from scaling.storage import brief, is_uri, scrubbed, shown

SECRETS = ("Wq7xKe", "9zTvLm", "Rp2dUs", "AKIAIDOFKEY")
KEY, PASSWORD = "AKIAIDOFKEY", "Wq7xKe/9zTvLm+Rp2dUs"
BOTH = f"{KEY}:{PASSWORD}"
SPELLINGS = [
    f"s3://{BOTH}@bucket/study?colour=red",
    f"s3://{BOTH}@bucket@home/study?colour=red",
    f"S3://{BOTH}@bucket/study",
    f"s3:/{BOTH}@bucket/study",
    f"s3:///{BOTH}@bucket/study",
    f"s3:{BOTH}@bucket/study",
    f"s3//{BOTH}@bucket",
    f"s3;//{BOTH}@bucket",
    f"s3 ://{BOTH}@bucket",
    f" s3://{BOTH}@bucket/study?colour=red",
    f"s3:\\\\{BOTH}@bucket",
    f"s3a://{BOTH}@bucket/study",
    f"s3://{BOTH}",
    f"s3://{KEY}:Wq7xKe@9zTvLm@bucket/study?colour=red",
    f"s3://{KEY}:Wq7xKe 9zTvLm@bucket/study",
    f"s3://{KEY}:Wq7xKe\n9zTvLm@bucket/study",
    f"s3://{KEY}:Wq7xKe\t9zTvLm@bucket/study",
    f"s3://{KEY}:8/Wq7xKe@bucket/study?colour=red",
    f"s3://{KEY}:Wq7xKe?9zTvLm@bucket/study",
    f"s3://{KEY}:Wq7xKe#9zTvLm@bucket/study",
    f"s3://{KEY}%3AWq7xKe%2F9zTvLm%40bucket/study",
    f"s3://{KEY}:Wq7xKe%2F9zTvLm%2BRp2dUs@bucket/study?colour=red",
    f"s3://{KEY}:Wq7xKe%ZZ9zTvLm@bucket/study",
    "s3://bucket/study?access_key=AKIAIDOFKEY&secret_key=Wq7xKe&colour=red",
    "s3://bucket/study?colour=red&secret_access_key=Wq7xKe/9zTvLm#Rp2dUs",
    f"gs://{BOTH}@bucket/study?colour=red",
    f"gcs://{BOTH}@bucket/study?colour=red",
    f"abfs://{BOTH}@host/study?colour=red",
    "abfs://box@host/study?colour=red&client_secret=Wq7xKe",
    f"hdfs://{BOTH}@host:8020/study?colour=red",
    f"ftp://{BOTH}@host/study",
    f"https://{BOTH}@host/study?sig=Wq7xKe",
    f"{BOTH}@bucket/study",
    f"//{BOTH}@bucket/study",
    f"./s3:/{BOTH}@bucket/study",
    f"/s3:/{BOTH}@bucket/study",
    f"file:///s3:/{BOTH}@bucket",
    f"results/s3://{BOTH}@bucket/study",
]
COMMANDS = [
    ("status", "?"),
    ("status", "?", "--json"),
    ("status", "results", "?"),
    ("status", "--color=?"),
    ("analyze", "?"),
    ("analyze", "results", "--out", "?"),
    ("erf", "?"),
    ("erf", "results", "--out", "?"),
    ("sweep", "?"),
    ("sweep", "?.py"),
    ("sweep", "quickstart", "--root", "?"),
    ("sweep", "own_width", "--root", "?"),
    ("sweep", "quickstart", "--out", "?", "--dry-run", "--speed", "x"),
    ("sweep", "quickstart", "--set", "transfer.weights=?", "--dry-run"),
    ("train", "microphones.test=a", "microphones.responses=?"),
    ("sweep", "quickstart", "--set", "?"),
    ("train", "--out", "?", "--device", "tpu"),
    ("train", "--root", "?"),
    ("train", "?"),
    ("data", "describe", "folders", "--root", "?"),
    ("data", "describe", "manifest", "--root", "?"),
    ("data", "describe", "?"),
    ("data", "check", "esc10", "--root", "?"),
    ("data", "download", "?"),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_place_is_printed_with_its_secrets(spelling: str):
    assert leaks(shown(spelling)) == []
    assert "\n" not in shown(spelling)
    wrapped = f"[Errno 2] cannot open '{spelling}' ({spelling!r}), part Wq7xKe"
    assert leaks(scrubbed(wrapped, f"--out={spelling}", "study.py")) == []


@pytest.mark.parametrize("number", range(len(SPELLINGS)))
def test_no_command_prints_them(
    number: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    """Every spelling with some of the commands, every command with many spellings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OVERHEAR_PATIENCE", "0")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for step in (0, 7, 16):
        words = COMMANDS[(number + step) % len(COMMANDS)]
        given = [word.replace("?", SPELLINGS[number]) for word in words]
        code = run(monkeypatch, given)
        told = capfd.readouterr()
        assert leaks(told.out + told.err) == [], (given, told)
        assert code != 0, (given, told)
        assert "Traceback" not in told.err


def run(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> object:
    monkeypatch.setattr(sys, "argv", ["overhear", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def leaks(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


@pytest.mark.parametrize(
    "place",
    [
        "results/a?b#c@d:e", "/tmp/run:5/x", "C:/x", "results/x y", "s3/study", "file/x", "gs/a@b",
        "s3://bucket/who@home", "hdfs://host:8020/who@home", "file:///tmp/run:5/x",
        "http://127.0.0.1:80/x",
    ],
)  # fmt: skip
def test_what_holds_no_secret_is_printed_as_it_is(place: str):
    assert shown(place) == place
    assert scrubbed(f"cannot open {place}: why", place) == f"cannot open {place}: why"


def test_a_mistyped_uri_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It would be made in the working directory, with the secret in its name."""
    monkeypatch.chdir(tmp_path)
    for spelling in (f"s3:/{BOTH}@bucket", f"s3:{BOTH}@b", f"S3:/{BOTH}@b", "gs:/bucket/x"):
        assert is_uri(spelling)
        with pytest.raises(
            ValueError, match="is neither a URI nor a folder: write s3://"
        ) as caught:
            Results(spelling)
        assert leaks(str(caught.value)) == []
    with pytest.raises(ValueError, match="its name is empty"):
        Results("")
    assert not list(tmp_path.iterdir())
    for place in ("s3/study", "results:1", "C:/x"):
        assert not is_uri(place)


def test_pages_of_the_web_keep_what_they_are_asked_for():
    page = "https://zenodo.org/records/1?download=1#files"
    assert scrubbed(f"fetch it from {page}") == f"fetch it from {page}"


# long texts


def test_an_error_of_a_megabyte_is_recorded_in_brief(tmp_path: Path):
    outcome = Outcome("a", Status.STOPPED, None, 1, 1.0, "n", "cpu", "float32", 1, "{}")
    progress = Progress("a", 1, 2, None, 1.0, outcome=outcome)
    results = Results(tmp_path)
    stop(progress, results, "first words " + "x" * 1_000_000 + " last words")
    (row,) = results.read("outcomes").to_pylist()
    assert len(row["error"]) <= 2000
    assert row["error"].startswith("first words x")
    assert row["error"].endswith("x last words")
    assert "letters)" in row["error"]


@pytest.mark.parametrize("length", [0, 1999, 2000, 2001, 10**6])
def test_a_brief_text_is_whole_or_bounded(length: int):
    text = "".join(chr(97 + n % 26) for n in range(length))
    assert (brief(text) == text) == (length <= 2000)
    assert len(brief(text)) <= 2000
