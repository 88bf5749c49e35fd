"""Downloads from a real server on this machine: whole, cut off, changed, wrong, malicious."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import random
import re
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from filelock import FileLock
from typer.testing import CliRunner

from overhear.command import app
from scaling.sound import datasets, download, unpack
from scaling.sound.datasets import DATASETS

FOLDER = "free-spoken-digit-dataset"
NAMES = [f"recordings/{d}_theo_{take}.wav" for d in range(10) for take in (0, 9)]


class Server:
    """What a test asks of its server, and what the server was asked."""

    def __init__(self) -> None:
        self.body = b""
        self.etag = '"one"'
        self.ranges = True  # whether it can go on in the middle
        self.announced = True  # whether it says how long the archive is
        self.cuts: list[int] = []  # bytes after which it hangs up, for one request after the other
        self.status = 200
        self.asked: list[str | None] = []  # the Range of every request
        self.address = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers["Range"]
        self.asked.append(wanted)
        if self.status != 200:
            handler.send_error(self.status)
            return
        start = 0
        if wanted and self.ranges and handler.headers["If-Range"] in (None, self.etag):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(self.body):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(self.body)}")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        if start:
            last = len(self.body) - 1
            handler.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
        if self.announced:
            handler.send_header("Content-Length", str(len(self.body) - start))
        if self.etag:
            handler.send_header("ETag", self.etag)
        handler.end_headers()
        cut = self.cuts.pop(0) if self.cuts else len(self.body)
        handler.wfile.write(self.body[start : start + cut])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that has the archive of FSDD, and the only one that is asked for it."""
    asked = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.answer(self)

        def log_message(self, *words: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}).start()
    asked.address = f"http://127.0.0.1:{running.server_port}/archive.zip"
    asked.body = zipped(files())
    monkeypatch.setattr(download, "PAUSE", 0.0)
    monkeypatch.setattr(download, "BLOCK", 1000)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    offer(monkeypatch, asked)
    yield asked
    running.shutdown()
    running.server_close()


def offer(
    patch: pytest.MonkeyPatch,
    server: Server,
    checksum: str | None = "right",
    checked: bool | None = None,
) -> None:
    """Make the server's archive the one of FSDD; its files are `checked` if it has a checksum."""
    checked = checksum is not None if checked is None else checked
    if checksum == "right":
        checksum = f"md5:{hashlib.md5(server.body).hexdigest()}"
    archive = download.Archive(server.address, FOLDER, len(server.body), checksum, 100)
    patch.setitem(download.ARCHIVES, "fsdd", archive)
    # 20 of its 3,000 recordings are not what was published
    check = DATASETS["fsdd"].check if checked else None
    patch.setitem(DATASETS, "fsdd", DATASETS["fsdd"]._replace(check=check))


def files() -> dict[str, bytes]:
    """A small FSDD below one folder, as GitHub packs it."""
    made = {}
    for number, name in enumerate(NAMES):
        file = io.BytesIO()
        samples = np.random.default_rng(number).uniform(-1, 1, 400)
        soundfile.write(file, samples, 8000, format="WAV")
        made[f"fsdd-1234/{name}"] = file.getvalue()
    return made


def zipped(entries: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def tarred(entries: dict[str, bytes], *others: tarfile.TarInfo) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for entry in others:
            archive.addfile(entry)
    return file.getvalue()


def tarred_plain(entries: dict[str, bytes]) -> bytes:
    return gzip.decompress(tarred(entries))


def run(*words: str) -> str:
    """`overhear data ...`; raises what it raises, which is one line."""
    ended = CliRunner().invoke(app, ["data", *words])
    if ended.exception:
        assert "\n" not in str(ended.exception)
        raise ended.exception
    return ended.output


def left(base: Path) -> set[str]:
    """What lies in the data folder, but for the lock."""
    return {path.name for path in base.iterdir()} - {f".{FOLDER}.lock"}


# Whole


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("announced", [True, False])
def test_a_whole_download(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack, announced: bool
):
    server.body = pack(files())
    server.announced = announced
    offer(monkeypatch, server)
    base = tmp_path / "new" / "data"
    output = run("download", "fsdd", "--to", str(base))
    assert left(base) == {FOLDER}
    found = {p.relative_to(base / FOLDER).as_posix(): p for p in (base / FOLDER).rglob("*.wav")}
    assert found.keys() == set(NAMES)
    for name, content in files().items():
        assert found[name.partition("/")[2]].read_bytes() == content
    assert "licence: CC BY-SA 4.0" in output
    assert "is right; unpacking" in output
    assert f"20 files unpacked into {base / FOLDER}" in output
    monkeypatch.setenv("OVERHEAR_DATA", str(base))
    assert len(datasets.scan("fsdd").table) == 20
    assert "test (fold 1)" in CliRunner().invoke(app, ["data", "check", "fsdd"]).output


def test_what_is_there_is_left_alone(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OVERHEAR_DATA", str(tmp_path))
    (tmp_path / "FSDD").mkdir()  # another of the names that its reader looks for
    assert f"{tmp_path / 'FSDD'} is there already: nothing done" in run("download", "fsdd")
    assert server.asked == []
    (tmp_path / "FSDD").rmdir()
    run("download", "fsdd")
    assert server.asked == [None]
    assert "is there already: nothing done" in run("download", "fsdd")
    assert server.asked == [None]


def test_an_archive_that_is_not_fixed_says_so(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    offer(monkeypatch, server, checksum=None)
    output = run("download", "fsdd", "--to", str(tmp_path))
    sha = hashlib.sha256(server.body).hexdigest()
    assert f"compared with what was published; what came has sha256:{sha}" in output


# Cut off


@pytest.mark.parametrize("fixed", [True, False])
def test_a_lost_connection_is_taken_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fixed: bool
):
    offer(monkeypatch, server, checksum="right" if fixed else None)
    server.cuts = [5000]
    run("download", "fsdd", "--to", str(tmp_path))
    assert server.asked == [None, "bytes=5000-"]
    assert left(tmp_path) == {FOLDER}
    assert len([*(tmp_path / FOLDER / "recordings").iterdir()]) == 20


def test_the_same_command_goes_on(server: Server, tmp_path: Path):
    server.cuts = [5000, 1000, 0, 0, 0]
    line = (
        rf"^{server.address}: connection lost 5 times, 6 KB are here \(.*\): run the same "
        "command again to resume there$"
    )
    with pytest.raises(ValueError, match=line):
        run("download", "fsdd", "--to", str(tmp_path))
    part = f"{FOLDER}-archive.zip.part"
    assert left(tmp_path) == {part, f"{part}.etag"}
    assert (tmp_path / part).read_bytes() == server.body[:6000]
    run("download", "fsdd", "--to", str(tmp_path))
    assert server.asked[-1] == "bytes=6000-"
    assert left(tmp_path) == {FOLDER}


def test_a_server_that_cannot_go_on(server: Server, tmp_path: Path):
    server.ranges = False
    server.cuts = [5000]
    run("download", "fsdd", "--to", str(tmp_path))
    assert server.asked == [None, "bytes=5000-"]
    assert left(tmp_path) == {FOLDER}


def test_an_archive_that_changed_meanwhile(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    offer(monkeypatch, server, checksum=None)
    server.cuts = [5000, 0, 0, 0, 0]
    with pytest.raises(ValueError, match="connection lost"):
        run("download", "fsdd", "--to", str(tmp_path))
    entries = files() | {"fsdd-1234/README.md": b"new"}
    server.body, server.etag = zipped(dict(reversed(entries.items()))), '"two"'
    run("download", "fsdd", "--to", str(tmp_path))
    assert (tmp_path / FOLDER / "README.md").read_bytes() == b"new"
    assert len([*(tmp_path / FOLDER / "recordings").iterdir()]) == 20


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_nothing_vouches_for_the_part(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, etag: str
):
    offer(monkeypatch, server, checksum=None)
    server.etag = etag
    server.cuts = [5000]
    run("download", "fsdd", "--to", str(tmp_path))
    assert server.asked == [None, None]
    assert left(tmp_path) == {FOLDER}


def test_killed_behind_the_last_byte(server: Server, tmp_path: Path):
    part = tmp_path / f"{FOLDER}-archive.zip.part"
    part.write_bytes(server.body)
    run("download", "fsdd", "--to", str(tmp_path))
    assert server.asked == [f"bytes={len(server.body)}-"]
    assert left(tmp_path) == {FOLDER}


def test_a_part_that_is_too_long(server: Server, tmp_path: Path):
    (tmp_path / f"{FOLDER}-archive.zip.part").write_bytes(server.body + b"more")
    run("download", "fsdd", "--to", str(tmp_path))
    assert server.asked == [f"bytes={len(server.body) + 4}-", None]
    assert left(tmp_path) == {FOLDER}


def test_killed_while_unpacking(server: Server, tmp_path: Path):
    (tmp_path / f".{FOLDER}.unpacking").mkdir()
    (tmp_path / f".{FOLDER}.unpacking" / "half.wav").write_text("")
    (tmp_path / f"{FOLDER}-archive.zip").write_bytes(server.body)
    run("download", "fsdd", "--to", str(tmp_path))
    assert server.asked == []
    assert left(tmp_path) == {FOLDER}
    assert not (tmp_path / FOLDER / "half.wav").exists()


# Wrong


def test_a_wrong_checksum(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    offer(monkeypatch, server, checksum="md5:" + "0" * 32)
    with pytest.raises(ValueError, match=r"does not match the known hash: expected md5:0000"):
        run("download", "fsdd", "--to", str(tmp_path))
    assert left(tmp_path) == set()


@pytest.mark.parametrize("status", [404, 503])
def test_a_server_without_it(server: Server, tmp_path: Path, status: int):
    server.status = status
    with pytest.raises(
        ValueError, match=rf"archive\.zip: the server answers {status} .*: try late"
    ):
        run("download", "fsdd", "--to", str(tmp_path))
    assert len(server.asked) == 1
    assert left(tmp_path) == set()


def test_no_server(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    nowhere = download.ARCHIVES["fsdd"]._replace(address="http://127.0.0.1:1/archive.zip")
    monkeypatch.setitem(download.ARCHIVES, "fsdd", nowhere)
    with pytest.raises(ValueError, match="connection lost 5 times, 0 B are here"):
        run("download", "fsdd", "--to", str(tmp_path))


def linked(name: str, target: str) -> bytes:
    """A zip with a symbolic link."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o120777 << 16
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/good.wav", b"good")
        archive.writestr(entry, target)
    return file.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


GOOD = {"a/good.wav": b"good"}
MALICIOUS = {
    "zip above": zipped(GOOD | {"a/../../evil": b"evil"}),
    "zip absolute": zipped(GOOD | {"/tmp/evil": b"evil"}),
    "zip backslash": zipped(GOOD | {"a\\..\\..\\evil": b"evil"}),
    "zip drive": zipped(GOOD | {"C:\\evil": b"evil"}),
    "zip link": linked("a/evil", "../../evil"),
    "tar above": tarred(GOOD | {"../evil": b"evil"}),
    "tar absolute": tarred(GOOD | {"/tmp/evil": b"evil"}),
    "tar link": tarred(GOOD, link("a/evil", "../..")),
    "tar hard link": tarred(GOOD, link("a/evil", "../../evil", tarfile.LNKTYPE)),
    "tar pipe": tarred(GOOD, link("a/evil", "", tarfile.FIFOTYPE)),
}


@pytest.mark.parametrize("kind", MALICIOUS)
def test_a_malicious_archive(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    server.body = MALICIOUS[kind]
    offer(monkeypatch, server)
    base = tmp_path / "data"
    line = r"archive\.zip holds .*evil, which (leads out of the folder|is a link or a device): refu"
    with pytest.raises(ValueError, match=line):
        run("download", "fsdd", "--to", str(base))
    assert left(base) == set()
    assert [*tmp_path.rglob("*evil*")] == []


def test_without_a_checksum_files_are_compared_with_what_was_published(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    offer(monkeypatch, server, checksum=None, checked=True)
    with pytest.raises(ValueError, match=r"2980 clips are missing.*; nothing unpacked$"):
        run("download", "fsdd", "--to", str(tmp_path))
    assert left(tmp_path) == set()


def huge(pack, size: int) -> bytes:
    """An archive that packs to little and unpacks to much."""
    return pack({"a/zeros.wav": bytes(size)})


def twice() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/one.wav", b"1")
        archive.writestr("a/two.wav", b"2")
    return file.getvalue().replace(b"two.wav", b"one.wav")


def deflated(entries: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return file.getvalue()


def lying(real: int, said: int) -> bytes:
    """A zip whose entry is larger than it says, in both of its headers."""
    body = deflated({"a/zeros.wav": bytes(real)})
    return body.replace(real.to_bytes(4, "little"), said.to_bytes(4, "little"))


BOMBS = {
    "zip": (huge(deflated, 3_000_000), r"unpacks to more than 1 MB, as recordings do not: refused"),
    "tar": (huge(tarred, 3_000_000), r"unpacks to more than 1 MB, as recordings do not: refused"),
    "many": (zipped({f"a/{n}.wav": b"" for n in range(101)}), r"unpacks to more than 100 files"),
    "many in a tar": (tarred({f"a/{n}": b"" for n in range(101)}), r"more than 100 files"),
    "twice": (twice(), r"holds a/one\.wav twice: refused"),
    "larger than said": (lying(3_000_000, 1_000), r"is damaged \(.*\): download it again"),
    "behind the end": (
        gzip.compress(tarred_plain(GOOD) + bytes(3_000_000)),
        r"continues past its end: refused",
    ),
}


@pytest.mark.parametrize(("body", "line"), BOMBS.values(), ids=BOMBS)
def test_a_bomb(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes, line: str
):
    """No more files, and no more bytes, than recordings of an archive's size have."""
    server.body = body
    offer(monkeypatch, server)
    with pytest.raises(ValueError, match=line):
        run("download", "fsdd", "--to", str(tmp_path))
    assert left(tmp_path) == set()


@pytest.mark.parametrize("announced", [True, False])
def test_a_server_that_sends_too_much(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, announced: bool
):
    archive = download.ARCHIVES["fsdd"]
    monkeypatch.setitem(download.ARCHIVES, "fsdd", archive._replace(size=archive.size // 3))
    server.announced = announced
    with pytest.raises(ValueError, match=r"sends more than .*: not that archive, nothing kept$"):
        run("download", "fsdd", "--to", str(tmp_path))
    assert all(path.stat().st_size == 0 for path in tmp_path.glob("*.part"))


def test_damage_of_every_kind_is_one_line(tmp_path: Path):
    """Seeded: bytes changed, cut off, inserted, in archives of five kinds; or all is as it was."""
    draw = random.Random(11)
    plain = tarred_plain(files())
    bodies = [zipped(files()), deflated(files()), tarred(files())]
    bodies += [bz2.compress(plain), lzma.compress(plain)]
    refused = 0
    for number in range(300):
        body = bytearray(bodies[number % len(bodies)])
        for _ in range(draw.randint(1, 3)):
            place = draw.randrange(len(body))
            match draw.randrange(3):
                case 0:
                    body[place] = draw.randrange(256)
                case 1:
                    del body[place : place + draw.randint(1, 300)]
                case 2:
                    body[place:place] = draw.randbytes(draw.randint(1, 300))
        packed = tmp_path / "archive"
        packed.write_bytes(body)
        target = tmp_path / f"data{number}"
        said = ""
        try:
            unpack.unpack(packed, target, 100)
        except ValueError as error:
            said = str(error)
        assert said.isprintable(), number
        assert target.exists() != bool(said)
        refused += bool(said)
        assert {path.name for path in tmp_path.iterdir()} <= {
            "archive",
            *(f"data{n}" for n in range(number + 1)),
        }
    assert refused > 150


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_damaged_archive(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack):
    body = bytearray(pack(files()))
    body[2000:2100] = bytes(100)
    for server.body in (bytes(body), bytes(body[:3000]), b"<html>not found</html>", zipped({})):
        offer(monkeypatch, server, checksum=None)
        with pytest.raises(ValueError, match=r"is damaged \(.*\): download it ag|holds no files"):
            run("download", "fsdd", "--to", str(tmp_path))
        assert left(tmp_path) == set()


def free(monkeypatch: pytest.MonkeyPatch, *sizes: int) -> None:
    """The disk's room, from one question to the next."""
    answers = iter(sizes)
    monkeypatch.setattr(unpack.shutil, "disk_usage", lambda _: SimpleNamespace(free=next(answers)))


def test_too_little_room(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    size = len(server.body)
    free(monkeypatch, 2 * size - 1)
    with pytest.raises(
        ValueError, match=r"^http.* needs 39.5 KB below .*, where 39.5 KB are free: make r"
    ):
        run("download", "fsdd", "--to", str(tmp_path))
    assert left(tmp_path) == set()
    free(monkeypatch, 2 * size, 20 * 844 - 1)
    with pytest.raises(
        ValueError, match=r"^free-spoken.*zip needs 16.9 KB below .* are free: make room"
    ):
        run("download", "fsdd", "--to", str(tmp_path))
    assert left(tmp_path) == {f"{FOLDER}-archive.zip"}
    free(monkeypatch, 20 * 844)
    run("download", "fsdd", "--to", str(tmp_path))
    assert left(tmp_path) == {FOLDER}
    assert server.asked == [None, None]


def test_two_at_once(server: Server, tmp_path: Path):
    with (
        FileLock(tmp_path / f".{FOLDER}.lock"),
        pytest.raises(ValueError, match="is being downloaded by another process: wait for that"),
    ):
        run("download", "fsdd", "--to", str(tmp_path))
    assert server.asked == []


# By hand


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "tess",
            r"^tess must be fetched by hand, from https://doi\.org/10\.5683/SP2/E8H2MF: unpack",
        ),
        (
            "tut2017",
            r"records/400515 and https://zenodo\.org/records/1040168: unpack it to .*2017 \(",
        ),
        (
            "tau2020_mobile",
            r"from https://zenodo\.org/records/3819968: unpack it to .* \(licence: ac",
        ),
        ("synthetic", r"^synthetic: nothing to download: made by Overhear itself$"),
        ("folders", r"^folders: nothing to download: your own files$"),
        ("fssd", r"^fssd: no such dataset \(did you mean fsdd\?\)$"),
    ],
)
def test_what_is_not_downloaded(name: str, line: str, tmp_path: Path):
    with pytest.raises(ValueError, match=line):
        run("download", name, "--to", str(tmp_path))
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("name", download.ARCHIVES)
def test_archives_are_found_by_their_readers(name: str):
    archive = download.ARCHIVES[name]
    assert archive.folder in (DATASETS[name].folders or ())
    assert archive.address.startswith(f"{DATASETS[name].address}/")
    assert re.fullmatch(
        r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", archive.checksum or "md5:" + "0" * 32
    )
    if archive.checksum is None:  # then the address and the reader's own check are the pin
        assert re.search(r"/[0-9a-f]{40}\.zip$", archive.address)
        assert DATASETS[name].check
    assert not re.search(r"HEAD|master|main|latest", archive.address), "it must not move"


def test_an_archive_that_is_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "archive.zip")
    with pytest.raises(
        unpack.UnsafeArchive, match=r"^archive\.zip is no file: remove it, and download"
    ):
        unpack.unpack(tmp_path / "archive.zip", tmp_path / "data", files=10)
