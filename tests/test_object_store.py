"""Results and datasets in an object store: a real S3-speaking server on this machine (moto's)."""

import contextlib
import math
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.fs
import pytest
import soundfile
from test_until_decided import Launches, clear, study
from typer.testing import CliRunner

from analysis import reading, table
from analysis.commands.analyze import analyze
from analysis.commands.status import status
from overhear.command import app, erf, predict
from scaling import machine
from scaling.results import checkpoint, manifest, statements
from scaling.results.looks import looks
from scaling.results.records import TRIES, Results
from scaling.results.run_trial import run_trial
from scaling.settings import Trial, changed
from scaling.sound import datasets, prepare
from scaling.sound.fetch import mirror
from scaling.sound.store import Store
from scaling.storage import opened, shown
from sweeps.adaptive.until_decided import asked, follow

SECRET = "s3cr/et+word"
ROW = {"trial": "a", "epoch": 1, "split": "test", "device": "all", "metric": "loss", "value": 0.5}
ENOUGH = 30.0  # seconds for what takes one


class Server:
    """moto's server in a process of its own, and one bucket on it."""

    def __init__(self, port: int, bucket: str) -> None:
        self.port, self.bucket = port, bucket

    def uri(self, path: str = "", bucket: str = "", key: str = "key") -> str:
        place = f"{bucket or self.bucket}/{path}".rstrip("/")
        password = SECRET.replace("/", "%2F").replace("+", "%2B")
        options = f"endpoint_override=127.0.0.1%3A{self.port}&scheme=http&region=us-east-1"
        return f"s3://{key}:{password}@{place}?{options}"

    def ask(self, path: str, method: str = "GET", data: bytes | None = None) -> str:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{path}",
            data,
            {"Content-Type": "text/plain", "Authorization": "AWS key:unchecked"},
            method=method,
        )
        with urllib.request.urlopen(request) as answer:
            return str(answer.read().decode())

    def parts(self, key: str) -> int:
        """How many parts of the only object that is being put here have arrived."""
        uploads = re.findall(r"<UploadId>(.*?)<", self.ask(f"{self.bucket}?uploads"))
        listed = [self.ask(f"{self.bucket}/{key}?uploadId={upload}") for upload in uploads]
        return "".join(listed).count("<PartNumber>")

    @contextlib.contextmanager
    def denying(self) -> Iterator[None]:
        """While every key is a wrong one."""
        self.ask("moto-api/reset-auth", "POST", b"0")
        try:
            yield
        finally:
            self.ask("moto-api/reset-auth", "POST", b"inf")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    log = tmp_path_factory.mktemp("moto") / "log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with log.open("w") as file, subprocess.Popen(command, stderr=file) as process:
        try:
            until(lambda: re.search(r"http://127.0.0.1:\d+", log.read_text()) is not None)
            yield int(re.findall(r"http://127.0.0.1:(\d+)", log.read_text())[0])
        finally:
            process.kill()


@pytest.fixture
def server(port: int) -> Server:
    server = Server(port, f"bucket-{uuid.uuid4().hex[:8]}")
    making = server.uri() + "&allow_bucket_creation=true"
    opened(making, "bucket")[0].create_dir(server.bucket)
    return server


class Spied:
    """A filesystem that tells what is asked of it, and may do something before it is done."""

    def __init__(
        self, real: pyarrow.fs.FileSystem, before: dict[str, Callable[[], None]] | None = None
    ) -> None:
        self.real, self.asked, self.after = real, [], before or {}

    def __getattr__(self, name: str) -> object:
        found = getattr(self.real, name)
        if not callable(found):
            return found

        def call(*words: object, **more: object) -> object:
            self.asked.append((name, words[0]))
            done = found(*words, **more)
            self.after.get(name, lambda: None)()
            return done

        return call


def until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + ENOUGH
    while not reached():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def one_line(error: BaseException) -> bool:
    return "\n" not in str(error) and not any(s in str(error) for s in (SECRET, "s3cr", "key:"))


# results


def test_every_method_does_what_it_does_locally(server: Server, tmp_path: Path):
    """The same calls, their answers side by side."""

    def answers(results: Results) -> Iterator[object]:
        yield results.read("metrics").num_rows, results.names("metrics")
        results.prepare()
        yield results.names(""), results.get(".writing-probe")
        results.write("metrics", "b", [ROW | {"trial": "b", "value": math.inf}])
        results.write("metrics", "a", [ROW])
        results.write("metrics", "a", [ROW | {"epoch": 2}])
        yield results.names("metrics"), results.read("metrics").to_pylist()
        yield results.read("metrics", ["b"]).to_pylist(), results.read("metrics", []).num_rows
        results.put(b"x", "checkpoints", "a", "last.pt")
        results.put(b"y", "checkpoints", "ab", "last.pt")
        results.put(b"z", "weights", "a.safetensors")
        yield results.get("checkpoints", "a", "last.pt"), results.get("checkpoints", "none")
        yield results.names("checkpoints"), results.names("weights", ".safetensors")
        for _ in range(2):  # the second time there is nothing to remove
            results.remove("checkpoints", "a")
            results.remove("metrics", "b.parquet")
        yield (
            results.get("checkpoints", "a", "last.pt"),
            results.get("checkpoints", "ab", "last.pt"),
        )
        yield results.names("metrics"), results.path("a", "b").removeprefix(results.base)

    there = Results(server.uri("deep/study"))
    assert list(answers(there)) == list(answers(Results(tmp_path / "study")))
    assert not there.local
    assert there.where == f"s3://{server.bucket}/deep/study"
    assert Results(there.address).names("metrics") == ["a"]


def test_a_bucket_itself_can_hold_results(server: Server):
    results = Results(server.uri())
    results.prepare()
    results.write("metrics", "a", [ROW])
    assert results.read("metrics").to_pylist() == [ROW]


def test_folder_markers_are_no_files(server: Server):
    """What consoles leave behind: an empty object whose name ends in a slash."""
    results = Results(server.uri("study"))
    results.write("metrics", "a", [ROW])
    for marker in ("study/", "study/metrics/", "study/metrics/old.parquet/"):
        server.ask(f"{server.bucket}/{marker}", "PUT", b"")
    assert results.names("metrics") == ["a"]
    assert results.read("metrics").num_rows == 1


def test_an_object_is_put_once_under_its_own_name(server: Server):
    results = Results(server.uri("study"))
    results.filesystem = spy = Spied(results.filesystem)
    results.write("metrics", "a", [ROW])
    target = f"{server.bucket}/study/metrics/a.parquet"
    assert spy.asked == [("open_output_stream", target)]


LARGE = 300_000_000  # bytes: 30 parts, so that a busy machine kills in the middle, too
KILLED = f"""
import sys
from scaling.results.records import Results
Results(sys.argv[1]).put(b"new" + bytes({LARGE}), "weights", "a")
"""


@pytest.mark.parametrize("earlier", [None, b"old"])
def test_a_writer_that_is_killed_leaves_none_or_the_old(server: Server, earlier: bytes | None):
    """A real process, killed while the parts of a large object are on their way."""
    results = Results(server.uri("study"))
    if earlier:
        results.put(earlier, "weights", "a")
    with subprocess.Popen([sys.executable, "-c", KILLED, results.address]) as victim:
        until(lambda: server.parts("study/weights/a") > 0)
        victim.kill()
        assert victim.wait() == -signal.SIGKILL
    assert 0 < server.parts("study/weights/a") < 30, "it was not killed in the middle"
    assert results.get("weights", "a") == earlier
    assert results.names("weights", "") == (["a"] if earlier else [])
    results.put(b"again", "weights", "a")
    assert results.get("weights", "a") == b"again"


def test_ctrl_c_leaves_a_whole_object(server: Server):
    """Arrow would complete an empty object when the exception closes its stream."""
    results = Results(server.uri("study"))
    results.put(b"old", "checkpoints", "a")
    interrupt = {"open_output_stream": lambda: os.kill(os.getpid(), signal.SIGINT)}
    results.filesystem = Spied(results.filesystem, interrupt)
    with pytest.raises(KeyboardInterrupt):
        results.put(b"new", "checkpoints", "a")
    assert Results(results.address).get("checkpoints", "a") == b"new"


def test_a_reader_between_two_writes_sees_one_of_them(server: Server):
    """Arrow asks for the size first: of an object that grew since then it reads a part."""
    results, writer = Results(server.uri("study")), Results(server.uri("study"))
    rows = [ROW | {"epoch": epoch, "value": math.sqrt(epoch)} for epoch in range(1, 900)]
    lengths = iter((300, 600, 900))
    grow = {"open_input_file": lambda: writer.write("metrics", "a", rows[: next(lengths, 900)])}
    writer.write("metrics", "a", rows[:2])
    results.filesystem = spy = Spied(results.filesystem, grow)
    with pytest.raises(ValueError, match=r"study/metrics/a.parquet cannot be read"):
        results.read("metrics")
    assert len(spy.asked) == 1 + TRIES
    lengths = iter((900,))
    writer.write("metrics", "a", rows[:2])
    assert results.read("metrics").num_rows == len(rows)


# what goes wrong


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ("results/a?b#c@d:e", "results/a?b#c@d:e"),
        ("s3://bucket/a?region=x", "s3://bucket/a"),
        ("s3://key:s3cret@bucket/a", "s3://bucket/a"),
        ("s3://key@bucket/a", "s3://bucket/a"),
        ("s3://key:s3/cr+et@bucket/a", "s3://bucket/a"),
        ("s3://key:12345@bucket/a", "s3://bucket/a"),
        ("s3://key:s3cr/et/a", "s3://"),
        ("s3://bucket/who@home", "s3://bucket/who@home"),
        ("hdfs://host:8020/who@home", "hdfs://host:8020/who@home"),
        ("abfs://box@host/a?credential_kind=x&client_secret=s3cret", "abfs://host/a"),
    ],
)
def test_what_is_printed_of_a_place(given: str, printed: str):
    assert shown(given) == printed


@pytest.mark.parametrize(
    "uri", ["s3://key:s3cr/et@b/x", "ftp://key:s3cr@b/x", "s3://key:s3cr@b/x?colour=red"]
)
def test_uris_that_are_not_understood_are_printed_without_secrets(uri: str):
    with pytest.raises(ValueError, match=r"^results folder 's?3?.*' is not understood") as caught:
        Results(uri)
    assert one_line(caught.value)


def test_a_bucket_that_is_not_there(server: Server):
    results = Results(server.uri("study", bucket="nowhere"))
    named = r"^results folder s3://nowhere/study cannot be written "
    line = rf"{named}\(there is no such bucket\): make the bucket, or name another with --out$"
    with pytest.raises(ValueError, match=line):
        results.prepare()
    with pytest.raises(OSError, match=line):
        results.put(b"x", "weights", "a")
    assert results.get("weights", "a") is None
    with pytest.raises(ValueError, match=r"nowhere/study cannot be read \(there is no such bucket"):
        reading.load(results)
    with pytest.raises(ValueError, match=r"^s3://\S+/study is not a results folder"):
        reading.load(Results(server.uri("study")))


def test_access_that_is_denied(server: Server, tmp_path: Path):
    results = Results(server.uri("study"))
    results.write("metrics", "a", [ROW])
    reason = r"\(access is denied\): check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    refused: list[tuple[Callable[[], object], type[Exception], str]] = [
        (results.prepare, ValueError, "written"),
        (lambda: results.put(b"x", "weights", "a"), OSError, "written"),
        (lambda: results.remove("metrics"), OSError, "written"),
        (lambda: results.get("metrics", "a.parquet"), ValueError, "read"),
        (lambda: results.names("metrics"), ValueError, "read"),
        (lambda: results.read("metrics", ["a"]), ValueError, "read"),
        (lambda: reading.load(results), ValueError, "read"),
    ]
    where = f"results folder s3://{server.bucket}/study"
    with server.denying():
        for call, kind, done in refused:
            with pytest.raises(kind, match=f"^{where} cannot be {done} {reason}") as caught:
                call()
            assert one_line(caught.value)
        with pytest.raises(ValueError, match=f"^--root .* cannot be read {reason}") as caught:
            mirror(server.uri("study"), cache=tmp_path)
        assert one_line(caught.value)
    assert results.read("metrics").num_rows == 1


def test_a_store_that_does_not_answer():
    uri = f"s3://key:{SECRET[:4]}@bucket/study?endpoint_override=127.0.0.1%3A9&scheme=http"
    line = r"s3://bucket/study cannot be read \(no store answers\): check the network, and endpoint"
    with pytest.raises(ValueError, match=line) as caught:
        Results(uri, patience=0).names("metrics")
    assert one_line(caught.value)


# a trial and what is made of it


def test_a_trial_in_a_store_is_the_same_trial(
    trial: Trial,
    store: Store,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """Cut off behind its first checkpoint, resumed from it, and analyzed where it lies."""
    here = machine.here("cpu", "float32", 1)
    known = changed(trial, {"network.initialization": "he"})
    alone, there = Results(tmp_path / "alone"), Results(server.uri("study"))
    there.prepare()
    planned = manifest.plan("s", [known], {"synthetic": store.table})
    manifest.record(planned, {known.id: store.digest}, there)
    list(run_trial(known, store, here, alone))
    attempt = run_trial(known, store, here, there)
    next(attempt)
    attempt.close()
    assert there.get("checkpoints", known.id, checkpoint.NAME)
    resumed = run_trial(known, store, here, Results(there.address))
    assert [progress.epoch for progress in resumed] == [2, 3]
    for kind in ("metrics", "predictions"):
        left, right = (
            [row for row in each.read(kind).to_pylist() if "_seconds" not in row.get("metric", "")]
            for each in (alone, there)
        )
        assert left == right
    weights = f"{known.id}.safetensors"
    assert alone.get("weights", weights) == there.get("weights", weights)
    assert there.get("checkpoints", known.id, checkpoint.NAME) is None

    assert len(table.scores(there)) > 0
    status(there.address)
    assert "1 trials: 1 complete, 0 stopped" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"^s3://\S+/study is not on this machine: .*--out$"):
        analyze([there.address])
    with pytest.raises(ValueError, match=r"^s3://\S+/figures is not on this machine: .*--out$"):
        analyze([there.address], out=server.uri("figures"))
    analyze([there.address], out=str(tmp_path / "figures"))
    assert list((tmp_path / "figures").glob("*.png"))
    monkeypatch.setattr(prepare, "scan", lambda *_: {})
    monkeypatch.setattr(
        prepare, "stores", lambda trials, *_: {prepare.store_key(t): store for t in trials}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        erf(there.address, split="", out=(tmp_path / "maps").as_uri(), device="cpu")
    assert list((tmp_path / "maps").glob("effective_field-feature-unseen-*.png"))
    assert there.names("maps") == [known.id]
    write_wave(tmp_path / "noise.wav", 1, seconds=1.0)
    monkeypatch.setenv("COLUMNS", "300")  # no name is folded
    predict(there.address, [str(tmp_path / "noise.wav")], device="cpu")
    told = capsys.readouterr()
    assert "noise.wav" in told.out
    assert f"trial {known.id}, the only one with weights" in told.err


# datasets


def write_wave(path: Path, seed: int, seconds: float = 0.1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(seed).integers(-9000, 9000, int(8000 * seconds))
    soundfile.write(path, samples.astype(np.int16), 8000)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Two labels of three clips, and the table that lists them."""
    names = [f"{label}/{index} {label}.wav" for label in ("ä", "b") for index in range(3)]
    for seed, name in enumerate(names):
        write_wave(tmp_path / "recordings" / name, seed)
    lines = ["path,label", *(f"{name},{name[0]}" for name in names)]
    (tmp_path / "recordings" / "manifest.csv").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path / "recordings"


def upload(folder: Path, server: Server, path: str) -> str:
    filesystem, base = opened(server.uri(path), "dataset")
    pyarrow.fs.copy_files(str(folder), base, destination_filesystem=filesystem)
    return server.uri(path)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OVERHEAR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_claims_in_a_store_are_judged_look_by_look_and_reported(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """What is run until decided, judged, chosen, reported and joined may lie in a bucket."""
    where = [server.uri("course"), str(tmp_path / "here")]
    for at in where:
        results, own = Results(at), study(folds=(1, 2, 3))
        statements.state(own.study, own.claims, 0, results)
        assert follow(asked(own, results), Launches(results, clear))
        assert follow(asked(own, Results(at)), Launches(results, clear)), "it is over"
        assert [look.repeats for look in looks(results, own.study)] == [0, 3]
    assert "1 of 1 claims decided" in capsys.readouterr().out
    for words in (
        ["claims", where[0], "--out", str(tmp_path)],
        ["choose", where[0], "--on", "test"],
        ["report", where[0], "--out", str(tmp_path / "page.html")],
        ["analyze", *where, "--out", str(tmp_path), "--figure", "accuracy_vs_width"],
    ):
        ended = CliRunner().invoke(app, words)
        assert ended.exit_code == 0, ended.output
        assert SECRET not in ended.output
    assert "supported" in (tmp_path / "claims.csv").read_text()
    assert (tmp_path / "page.html").exists()


@pytest.mark.filterwarnings("ignore:1 files below")
def test_a_root_in_a_store_is_the_same_dataset(
    recordings: Path, server: Server, cache: Path, capsys: pytest.CaptureFixture[str]
):
    uri = upload(recordings, server, "sounds/mine")
    local, there = datasets.scan("folders", recordings), datasets.scan("folders", uri)
    assert there.digest == local.digest
    assert there.root.is_relative_to(cache)
    said = capsys.readouterr().err
    assert said.startswith("copying 7 of 7 files, 10 KB, of s3://")
    assert one_line(ValueError(said.rstrip()))
    for name in there.table["clip"]:
        assert (there.root / name).read_bytes() == (recordings / name).read_bytes()
    listed = datasets.scan("manifest", server.uri("sounds/mine/manifest.csv"))
    assert listed.digest == datasets.scan("manifest", recordings).digest
    assert listed.root == there.root
    assert datasets.scan("folders", recordings.as_uri()).root == recordings
    assert capsys.readouterr().err == "", "what is there is not copied again"


@pytest.mark.filterwarnings("ignore:1 files below")
def test_a_mirror_follows_its_source(
    recordings: Path, server: Server, cache: Path, capsys: pytest.CaptureFixture[str]
):
    """What was changed, also to the same size, is copied; what is gone goes; no more than that."""
    uri = upload(recordings, server, "sounds")
    time.sleep(1.1)  # a store tells times to the second
    datasets.scan("folders", uri)
    kept = {path: path.stat().st_ino for path in mirror(uri).rglob("*") if path.is_file()}
    filesystem, base = opened(uri, "dataset")
    filesystem.delete_file(f"{base}/b/2 b.wav")
    (recordings / "b" / "2 b.wav").unlink()
    write_wave(recordings / "b" / "1 b.wav", seed=99)
    capsys.readouterr()
    changed_clip = (recordings / "b" / "1 b.wav").read_bytes()
    with filesystem.open_output_stream(f"{base}/b/1 b.wav") as stream:
        stream.write(changed_clip)
    there = datasets.scan("folders", uri)
    assert there.digest == datasets.scan("folders", recordings).digest
    assert "copying 1 of 6 files" in capsys.readouterr().err
    assert (there.root / "b" / "1 b.wav").read_bytes() == changed_clip
    untouched = {path: node for path, node in kept.items() if path.parent.name == "ä"}
    assert {path: path.stat().st_ino for path in untouched} == untouched


def test_a_copy_that_was_killed_goes_on(
    server: Server, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """A real process, killed while it copies."""
    files = 60
    for seed in range(files):
        write_wave(tmp_path / "many" / "a" / f"{seed:02}.wav", seed, seconds=20)
    uri = upload(tmp_path / "many", server, "many")
    code = "import sys; from scaling.sound.fetch import mirror; mirror(sys.argv[1])"
    with subprocess.Popen(
        [sys.executable, "-c", code, uri], stderr=subprocess.DEVNULL, env=os.environ
    ) as victim:
        until(lambda: len(list(cache.glob("mirror-*/a/*.wav"))) > 20)
        victim.kill()
        assert victim.wait() == -signal.SIGKILL
    there = datasets.scan("folders", uri)
    said = re.match(r"copying (\d+) of 60 files", capsys.readouterr().err)
    assert said is not None
    assert 0 < int(said[1]) < files, "it was not killed in the middle, or began anew"
    assert there.digest == datasets.scan("folders", tmp_path / "many").digest


def test_roots_that_are_not_there(server: Server, cache: Path):
    for uri in (server.uri("none"), server.uri("none", bucket="nowhere")):
        with pytest.raises(
            ValueError, match=r"^--root s3://\S+/none: nothing is there: "
        ) as caught:
            datasets.scan("folders", uri)
        assert one_line(caught.value)
    with pytest.raises(ValueError, match=r"^--root 's3://b' is not understood"):
        datasets.scan("folders", "s3://key:s3cr@b?colour=red")
    with pytest.raises(ValueError, match=r"leave --root s3://\S+/x out$") as caught:
        datasets.scan("synthetic", server.uri("x"))
    assert one_line(caught.value)


def test_what_the_cache_refuses_is_no_fault_of_the_store(
    recordings: Path, server: Server, tmp_path: Path
):
    uri = upload(recordings, server, "sounds")
    (tmp_path / "taken").write_text("")
    line = r"^cache .*{} cannot be written \(.*\): move the f.* in its way, or .*OVERHEAR_CACHE$"
    with pytest.raises(ValueError, match=line.format("taken")):
        mirror(uri, cache=tmp_path / "taken")
    clip = mirror(uri, cache=tmp_path / "cache") / "b" / "0 b.wav"
    clip.unlink()
    clip.mkdir()
    with pytest.raises(ValueError, match=line.format("cache")):
        mirror(uri, cache=tmp_path / "cache")
