"""Hostile inputs for every command, and for what commands read; each must end well.

An input ends well if the command answers truly, or says in one line what is wrong. Anything else
is a finding: a traceback, a fault that we own up to, another value than the true one, a hang, a
crash, a control character or a secret on the terminal, more memory than the work needs. Inputs are
drawn from a seed, so that a finding can be made again. Contents: AREAS (what is attacked), `fuzz`.

As a script: `python tests/fuzz.py --inputs 1000 --seed 1` prints how many inputs of each area were
answered, refused and found at fault, and the findings. Each input runs in a process of its own,
forked from one that has imported everything: a start takes milliseconds, and nothing is shared.
"""

import argparse
import contextlib
import importlib
import io
import json
import os
import shutil
import signal
import stat
import sys
import tarfile
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

SECRET = "hunter2"  # what no output may hold
HANG = 60  # seconds after which an input counts as hung: none needs five on an idle core
MEMORY = 3 * 2**20  # KiB that no input may need: a start alone takes 0.6 GiB
LONGEST = 2_000  # characters of a line that a person can still read
TINY = (
    *("network.width=2", "training.epochs=2", "training.warmup=1", "training.batch=4"),
    *("sound.features.mels=32", "sound.dataset=manifest"),
)
PLAIN = ("--device", "cpu", "--precision", "float32", "--threads", "1")

NASTY = (
    "",
    " ",
    "0",
    "-1",
    "1_000",
    "٧",
    "1e999",
    "nan",
    "inf",
    "-inf",
    str(2**70),
    str(2**53 + 1),
    "9" * 5_000,
    "0x10",
    "1.5",
    "true",
    "null",
    "none",
    "[]",
    "{}",
    "[" * 3_000,
    '"',
    "a,b,,c",
    "=",
    "a=b",
    "..",
    "/",
    "/dev/null",
    "/dev/full",
    "/proc/self/mem",
    "~nobody/x",
    "x" * 5_000,
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "a\nb",
    "a\rb",
    "\u202etxt.wav",
    "\udcff",
    "[red]x[/red]",
    "[/]",
    "$\\frac{1}{0}$",
    "%s%n",
    "--help-me",
    "quickstrat",
    "s3://",
    "s3://bucket",
    "file:///dev/null/x",
    "gopher://x/y",
)
ADDRESSES = (
    "s3://key:{}@bucket/study",
    "s3://key:a/{}@bucket",
    "s3://key:{}",
    "s3://key:{}@",
    "S3://key:{}@bucket",
    "s3:/key:{}@bucket",
    "s3://key:%20{}@bucket",
    "s3://key:a@{}@bucket",
    "s3://bucket/x?secret_key={}",
    "s3://bucket/x#{}",
    "gs://key:{}@bucket",
    "abfs://key:{}@bucket",
    "hdfs://user:{}@host:8020/x",
    "http://user:{}@host/x",
    "x s3://key:{}@bucket",
    "/tmp/s3://key:{}@bucket",
    "s3://key:{}@bucket\nx",
    "s3+x://key:{}@bucket",
)


class Said(NamedTuple):
    """What became of a command."""

    code: int  # of its exit; below 0: the signal that ended it
    out: str
    err: str
    seconds: float
    kibibytes: int  # most memory held


class Input(NamedTuple):
    """A hostile input: what it is in a few words, what runs, and what must be so afterwards."""

    name: str
    run: Callable[[], object]  # in a process of its own, in a folder of its own
    true: Callable[[Said], str] = lambda said: ""  # what is untrue of an answer; "": nothing


def attempt(run: Callable[[], object], where: Path) -> Said:
    """Run in a forked process, in the folder, with a limit on its time."""
    files = [where / "stdout", where / "stderr"]
    begun = time.monotonic()
    child = os.fork()
    if not child:
        code = 70
        try:
            os.setsid()
            os.chdir(where)
            signal.alarm(HANG)
            for number, path in ((1, files[0]), (2, files[1])):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            sys.stderr = open(  # noqa: SIM115
                2, "w", encoding="utf-8", errors="backslashreplace", closefd=False
            )
            code = _code(run)
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    _, status, usage = os.wait4(child, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what it left running
    out, err = (path.read_text(errors="replace") if path.exists() else "" for path in files)
    code = os.waitstatus_to_exitcode(status)
    return Said(code, out, err, time.monotonic() - begun, usage.ru_maxrss)


def _code(run: Callable[[], object]) -> int:
    try:
        run()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else bool(end.code)
    except BaseException:  # noqa: BLE001 (as the interpreter would show it)
        traceback.print_exc()
        return 1
    return 0


def overhear(*words: str) -> Callable[[], object]:
    """The command line with these words."""

    def run() -> None:
        from overhear.command import main

        sys.argv = ["overhear", *words]
        main()

    return run


def fault(said: Said) -> str:
    """What is wrong with how a command ended, in a few words; "": nothing is."""
    both = said.out + said.err
    if said.code == -signal.SIGALRM:
        return "hangs"
    if said.code < 0:
        return f"killed by {signal.Signals(-said.code).name}"
    if "Traceback (most recent call last)" in both:
        return "traceback"
    if said.code not in (0, 1, 2):
        return f"exit code {said.code}"
    if SECRET in both:
        return "secret on the terminal"
    if any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in both):
        return "control character on the terminal"
    if said.kibibytes > MEMORY:
        return f"{said.kibibytes / 2**20:.1f} GiB of memory"
    lines = [line for line in said.err.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith("overhear: warning: ")]
    if said.code and not said.err.lstrip().startswith("Usage:"):
        errors = [line for line in told if line.startswith("overhear: ")]
        if len(errors) != 1 and not (said.code == 1 and said.out):
            return f"{len(errors)} lines say what is wrong"
    longest = max(map(len, lines), default=0)
    return f"a line of {longest} characters" if longest > LONGEST else ""


# what is attacked


class Material:
    """Small real things, made once, that inputs are copies of, and what is true of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clips, self.results = root / "clips", root / "results"
        self.heard = root / "heard"  # what is trained on: few, so that an input takes little
        self.cache, self.cut = root / "cache", root / "cut"
        self.truth: dict[str, str] = {}
        said = attempt(self._make, _empty(root / "making"))
        assert said.code == 0, said.out + said.err
        for command in (("analyze", "--json"), ("status", "--json")):
            name, *options = command
            asked = overhear(name, str(self.results), *options)
            folder = _empty(root / f"true-{name}")
            self.truth[name] = attempt(asked, folder).out
            assert self.truth[name]
        shutil.rmtree(self.results / "figures", ignore_errors=True)
        self.trained = records(self.results)

    def _make(self) -> None:
        """Clips in eight formats, two trials trained on the embedded sounds, one cut off."""
        import soundfile

        rng = np.random.default_rng(0)
        for number, (ending, subtype) in enumerate(FORMATS):
            for label in ("cat", "dog"):
                wave = 0.3 * rng.standard_normal(8_000)
                path = self.clips / label / f"{number}.{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                soundfile.write(path, wave, 16_000, subtype=subtype)
        self.heard.mkdir()
        rows = ["path,label,fold,device"]
        for number in range(32):
            label, fold, device = "cd"[number % 2], 1 + number // 2 % 2, "ab"[number // 4 % 2]
            wave = 0.3 * rng.standard_normal(16_000)
            soundfile.write(self.heard / f"{number}.wav", wave, 16_000)
            rows.append(f"{number}.wav,{label},{fold},{device}")
        (self.heard / "manifest.csv").write_text("\n".join(rows) + "\n")
        os.environ["OVERHEAR_CACHE"] = str(self.cache)
        for seed in ("0", "1"):
            assert not _code(self.train(f"seed={seed}", "--out", str(self.results)))
        self._cut_off()

    def train(self, *words: str) -> Callable[[], object]:
        """Train a trial of a moment with these words."""
        return overhear("train", *TINY, "--root", str(self.heard), *PLAIN, *words)

    def _cut_off(self) -> None:
        """A trial that was killed after its first epoch."""
        from scaling import machine
        from scaling.results.manifest import plan, record
        from scaling.results.records import Results
        from scaling.results.run_trial import run_trial
        from scaling.settings import changed
        from scaling.settings.recipes import RECIPES
        from scaling.sound import prepare

        trial = changed(RECIPES["quickstart"], dict(word.split("=") for word in TINY))
        clips = prepare.scan([trial], self.heard)
        results = Results(self.cut)
        results.prepare()
        stores = prepare.stores([trial], clips)
        planned = plan("train", [trial], {name: each.table for name, each in clips.items()})
        record(planned, prepare.digests([trial], stores), results)
        (store,) = stores.values()
        next(run_trial(trial, store, machine.here("cpu", "float32", 1), results))


FORMATS = (
    ("wav", "PCM_16"),
    ("wav", "FLOAT"),
    ("flac", "PCM_16"),
    ("ogg", "VORBIS"),
    ("mp3", "MPEG_LAYER_III"),
    ("aiff", "PCM_16"),
    ("au", "PCM_16"),
    ("w64", "PCM_16"),
)


def records(folder: Path) -> dict[str, object]:
    """What trials recorded, less what a clock measured, by file."""
    import pyarrow.parquet as pq

    found: dict[str, object] = {}
    for path in sorted(folder.glob("metrics/*.parquet")):
        rows = pq.read_table(path).to_pylist()
        found[path.name] = [row for row in rows if not row["metric"].endswith("_seconds")]
    for path in sorted(folder.glob("predictions/*.parquet")):
        found[f"predictions/{path.name}"] = pq.read_table(path).to_pylist()
    return found


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _one(rng: np.random.Generator, words: object) -> str:
    listed = list(words)  # type: ignore[call-overload]
    return listed[int(rng.integers(len(listed)))]


def damage(path: Path, rng: np.random.Generator) -> str:
    """Harm one file in one of many ways; says how."""
    content = bytearray(path.read_bytes())
    size = len(content)
    at = int(rng.integers(max(1, size)))
    way = _one(rng, ("bit", "bit", "bit", "cut", "zeros", "noise", "empty", "other"))
    if way == "bit" and size:
        content[at] ^= 1 << int(rng.integers(8))
    elif way == "cut":
        del content[at:]
    elif way in ("zeros", "noise") and size:
        length = min(size - at, int(rng.integers(1, 400)))
        content[at : at + length] = bytes(length) if way == "zeros" else rng.bytes(length)
    elif way == "empty":
        content.clear()
    elif way == "other":
        kind = _one(rng, ("folder", "fifo", "loop", "text", "twice"))
        if kind == "twice":
            path.write_bytes(bytes(content) * 2)
        else:
            path.unlink()
            if kind == "folder":
                path.mkdir()
            elif kind == "fifo":
                os.mkfifo(path)
            elif kind == "loop":
                path.symlink_to(path)
            else:
                path.write_text("hello\n")
        return kind
    path.write_bytes(bytes(content))
    return f"{way} at {at} of {size}"


def _files(folder: Path, *patterns: str) -> list[Path]:
    found = sorted({path for pattern in patterns for path in folder.glob(pattern)})
    return [path for path in found if path.is_file()]


def commands(material: Material, rng: np.random.Generator) -> Input:
    """A command with one or two options that nobody means."""
    import typer

    from overhear import command

    group = typer.main.get_command(command.app)
    known = {(name,): each for name, each in group.commands.items() if name != "data"}
    data = group.commands["data"].commands
    known |= {("data", name): each for name, each in data.items()}
    name = list(known)[int(rng.integers(len(known)))]
    arguments, flags = {
        ("sweep",): (["quickstart"], ["--dry-run", "--speed", "5"]),
        ("train",): ([], ["--dry-run"]),
        ("erf",): ([str(material.results)], ["--root", str(material.heard)]),
        ("data", "download"): (["nosuch"], []),
        ("data", "describe"): (["synthetic"], []),
        ("data", "check"): (["synthetic"], ["--quick"]),
    }.get(name, ([str(material.results)] if name in RESULTS else [], []))
    if arguments and rng.random() < 0.3 and name != ("data", "download"):
        arguments = [_one(rng, NASTY)]
    options = [
        each
        for each in known[name].params
        if each.opts[0].startswith("--") and each.opts[0] not in ("--help", "--watch", "--dry-run")
    ]
    words: list[str] = []
    for _ in range(int(rng.integers(1, 3))):
        if options:
            option = options[int(rng.integers(len(options)))]
            value = [] if getattr(option, "is_flag", False) else [_one(rng, NASTY)]
            words += [option.opts[0], *value]
    line = [*name, *arguments, *flags, *words]
    return Input(" ".join(map(repr, line)), overhear(*line))


RESULTS = {("status",), ("analyze",), ("erf",)}


def settings(material: Material, rng: np.random.Generator) -> Input:
    """A setting of a trial that nobody means."""
    from scaling.settings import leaves

    pairs = [f"{_one(rng, leaves())}={_one(rng, NASTY)}" for _ in range(1 + int(rng.integers(2)))]
    line = ["train", *pairs, "--dry-run", "--json"]
    return Input(" ".join(map(repr, line)), overhear(*line))


def addresses(material: Material, rng: np.random.Generator) -> Input:
    """A place with a password in it."""
    place = _one(rng, ADDRESSES).format(SECRET)
    line = {
        0: ["status", place],
        1: ["analyze", place],
        2: ["erf", place],
        3: ["train", *TINY, "--root", str(material.heard), *PLAIN, "--out", place],
        4: ["sweep", "quickstart", "--dry-run", "--speed", "5", "--out", place],
        5: ["data", "describe", "folders", "--root", place],
        6: ["analyze", str(material.results), "--out", place],
        7: ["data", "download", "fsdd2", "--to", place],
    }[int(rng.integers(8))]
    os.environ["OVERHEAR_PATIENCE"] = "1"
    return Input(" ".join(map(repr, line)), overhear(*line))


def tables(material: Material, rng: np.random.Generator) -> Input:
    """A list of clips as somebody else's program wrote it, or as nothing would."""
    names = sorted(
        path.relative_to(material.clips).as_posix() for path in _files(material.clips, "*/*")
    )
    rows = [[name, name.split("/")[0], str(1 + number % 3)] for number, name in enumerate(names)]
    header = ["path", "label", "fold"]
    for _ in range(int(rng.integers(3))):
        row, column = int(rng.integers(len(rows))), int(rng.integers(3))
        rows[row][column] = _one(rng, NASTY)
    if rng.random() < 0.3:
        header[int(rng.integers(3))] = _one(
            rng, ("Path", " label", "filename", "", "\x1b[1m", "x" * 9_999)
        )
    mark = _one(rng, (",", ";", "\t", "|"))
    text = "\n".join(mark.join(row) for row in [header, *rows]) + "\n"
    encoding = _one(rng, ("utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-32"))
    path = material.clips / f"table-{os.getpid()}-{int(rng.integers(2**31))}.csv"
    content = text.encode(encoding, errors="replace")
    command = _one(rng, ("describe", "check"))

    def run() -> None:
        path.write_bytes(content)
        if rng.random() < 0.4:
            damage(path, rng)
        try:
            overhear("data", command, "manifest", "--root", str(path))()
        finally:
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()

    return Input(f"data {command} manifest, {encoding}, {mark!r}", run)


def sounds(material: Material, rng: np.random.Generator) -> Input:
    """A folder of recordings, one of which is harmed."""
    names = _files(material.clips, "*/*")
    victim = _one(rng, names)

    def run() -> None:
        shutil.copytree(material.clips, "clips", ignore=shutil.ignore_patterns("table-*"))
        damage(Path("clips") / victim.relative_to(material.clips), rng)
        overhear("data", "check", "folders", "--root", "clips")()

    return Input(f"data check folders, {victim.name} harmed", run)


def results(material: Material, rng: np.random.Generator) -> Input:
    """A results folder, one file of which is harmed, or two of which are swapped."""
    names = _files(material.results, "*/*.parquet", "*/*.safetensors", "*.json")
    victim = _one(rng, names).relative_to(material.results)  # type: ignore[attr-defined]
    command = _one(rng, ("analyze", "analyze", "status", "erf"))
    swap = rng.random() < 0.15
    heard = ["--root", str(material.heard)]
    options = {"erf": [*heard, *PLAIN[:2], *PLAIN[4:]]}.get(command, ["--json"])

    def run() -> None:
        shutil.copytree(material.results, "results")
        path = Path("results") / victim
        others = [each for each in path.parent.iterdir() if each.name != path.name]
        if swap and others:
            (path.parent / "third").write_bytes(path.read_bytes())
            path.write_bytes(others[0].read_bytes())
            (path.parent / "third").replace(others[0])
        else:
            damage(path, rng)
        overhear(command, "results", *options)()

    def true(said: Said) -> str:
        if command != "analyze" or said.code:
            return ""
        return "" if said.out == material.truth["analyze"] else "other values"

    return Input(f"{command}, {victim} {'swapped' if swap else 'harmed'}", run, true)


def _retrained(material: Material, name: str, run: Callable[[], None]) -> Input:
    """Trains the first trial; where that succeeds, its records must be the true ones."""

    def true(said: Said) -> str:
        if said.code:
            return ""
        found = records(material.root / "input" / "out")
        return "" if found and found.items() <= material.trained.items() else "other values"

    return Input(name, run, true)


def stores(material: Material, rng: np.random.Generator) -> Input:
    """Packed clips, one file of which is harmed."""
    victim = _one(rng, _files(material.cache, "*/*", "*.json")).relative_to(material.cache)  # type: ignore[attr-defined]

    def run() -> None:
        shutil.copytree(material.cache, "cache")
        os.environ["OVERHEAR_CACHE"] = str(Path("cache").absolute())
        damage(Path("cache") / victim, rng)
        material.train("seed=0", "--out", "out")()

    return _retrained(material, f"train, cache's {victim} harmed", run)


def checkpoints(material: Material, rng: np.random.Generator) -> Input:
    """A trial that was cut off, of which one file is harmed."""
    victim = _one(rng, _files(material.cut, "checkpoints/*/*", "metrics/*", "manifest/*"))
    victim = victim.relative_to(material.cut)  # type: ignore[attr-defined]

    def run() -> None:
        shutil.copytree(material.cut, "out")
        shutil.copytree(material.cache, "cache")
        os.environ["OVERHEAR_CACHE"] = str(Path("cache").absolute())
        damage(Path("out") / victim, rng)
        material.train("seed=0", "--out", "out")()

    return _retrained(material, f"train, cut off, {victim} harmed", run)


MEMBERS = ("../out.txt", "/tmp/out.txt", "a/../../out.txt", "C:\\out.txt", "..\\out.txt", "a\x00b")


def archives(material: Material, rng: np.random.Generator) -> Input:
    """An archive that was harmed on its way, or made to do harm."""
    kind = _one(rng, ("zip", "tar"))
    hostile = _one(rng, ("", "", "", "member", "link", "device", "bomb"))

    def run() -> None:
        from scaling.sound.unpack import unpack

        path = Path("archive.zip" if kind == "zip" else "archive.tar.gz")
        path.write_bytes(_archive(kind, hostile, rng))
        if not hostile:
            damage(path, rng)
        try:
            unpack(path, Path("data"), files=10)
        except (ValueError, OSError) as error:
            print(f"overhear: {error}", file=sys.stderr)
            sys.exit(2)

    def true(said: Said) -> str:
        where = material.root / "input"
        outside = [path.name for path in where.iterdir() if path.name not in ARCHIVE_LEFT]
        if outside or (material.root / "out.txt").exists() or Path("/tmp/out.txt").exists():
            return f"wrote outside its folder: {outside}"
        if said.code:
            return "half of it is left" if (where / "data").exists() else ""
        content = {
            path.name: path.read_bytes()
            for path in (where / "data").rglob("*")
            if stat.S_ISREG(path.lstat().st_mode)
        }
        links = any(path.is_symlink() for path in (where / "data").rglob("*"))
        whole = content == ARCHIVED
        return "a link was unpacked" if links else "" if whole or hostile else "other content"

    return Input(f"unpack {kind}, {hostile or 'harmed'}", run, true)


ARCHIVE_LEFT = {"stdout", "stderr", "archive.zip", "archive.tar.gz", "data"}
ARCHIVED = {"one.txt": b"one\n" * 200, "two.bin": bytes(range(256)) * 16}


def _archive(kind: str, hostile: str, rng: np.random.Generator) -> bytes:
    members = {f"top/{name}": content for name, content in ARCHIVED.items()}
    if hostile == "member":
        members[_one(rng, MEMBERS)] = b"out"
    if hostile == "bomb":
        members["top/bomb"] = bytes(300 * 2**20)
    packed = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
            if hostile in ("link", "device"):
                entry = zipfile.ZipInfo("top/link")
                mode = stat.S_IFLNK if hostile == "link" else stat.S_IFIFO
                entry.external_attr = (mode | 0o777) << 16
                archive.writestr(entry, "/etc/passwd")
        return packed.getvalue()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        if hostile in ("link", "device"):
            entry = tarfile.TarInfo("top/link")
            entry.type = tarfile.SYMTYPE if hostile == "link" else tarfile.FIFOTYPE
            entry.linkname = "/etc/passwd"
            archive.addfile(entry)
    return packed.getvalue()


STUDIES = (
    "import sys; sys.exit(0)",
    "raise KeyboardInterrupt",
    "raise SystemExit",
    "1/0",
    "def trials(:",
    "",
    "QUESTION = SOURCE = 'x'",
    "QUESTION = SOURCE = 'x'\ndef trials(): return 3",
    "QUESTION = SOURCE = 'x'\ndef trials(): return [1, None, 'trial']",
    "QUESTION = SOURCE = 'x'\ndef trials(): return trials()",
    "QUESTION = SOURCE = 'x'\ndef trials(): import sys; sys.exit(0)",
    "QUESTION = SOURCE = 'x'\ndef trials():\n    yield from ()",
    "from scaling.settings.recipes import RECIPES\nQUESTION = SOURCE = 'x'\ndef trials():\n"
    "    while True: yield RECIPES['quickstart']",
    "QUESTION = SOURCE = '\\x1b[31mx'\ndef trials(): raise ValueError('\\x1b[31mx\\n' * 9999)",
    "QUESTION = 3\nSOURCE = None\ndef trials(): return []",
    "\x00",
    "# coding: nonsense\n",
)
FILES = ("study.py", "...py", ".py", "a b.py", "-x.py", "s.PY", "\x1b[1m.py", "x" * 200 + ".py")


def study_files(material: Material, rng: np.random.Generator) -> Input:
    """A study that is none."""
    content, name = _one(rng, STUDIES), _one(rng, FILES)

    def run() -> None:
        Path(name).write_text(content)
        overhear("sweep", f"./{name}", "--dry-run", "--speed", "5")()

    def true(said: Said) -> str:
        extra = {path.name for path in (material.root / "input").iterdir()}
        extra -= {name, "stdout", "stderr", "results", "__pycache__"}
        return f"wrote {extra}" if extra else "" if said.code else "a study that is none was taken"

    return Input(f"sweep {name!r}: {content[-60:]!r}", run, true)


AREAS: dict[str, Callable[[Material, np.random.Generator], Input]] = {
    each.__name__: each
    for each in (
        commands,
        settings,
        addresses,
        tables,
        sounds,
        results,
        stores,
        checkpoints,
        archives,
        study_files,
    )
}


class Finding(NamedTuple):
    """An input that did not end well."""

    area: str
    number: int
    input: str
    what: str
    said: str  # the end of what was said


def fuzz(
    inputs: int, seed: int, areas: list[str], root: Path
) -> Iterator[tuple[str, bool, Finding | None]]:
    """Each input's area, whether it was refused, and the finding, if it is one."""
    material = Material(root)
    os.environ["OVERHEAR_CACHE"] = str(material.cache)
    for number in range(inputs):
        area = areas[number % len(areas)]
        rng = np.random.default_rng((seed, list(AREAS).index(area), number))
        with contextlib.redirect_stdout(io.StringIO()):
            case = AREAS[area](material, rng)
        where = _empty(root / "input")
        said = attempt(case.run, where)
        what = fault(said) or case.true(said)
        end = (said.out[-300:] + "\n" + said.err[-1_200:]).strip()
        yield area, said.code != 0, Finding(area, number, case.name, what, end) if what else None


def main() -> None:
    """Fuzz, count, and print what was found."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--inputs", type=int, default=1_000)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--area", action="append", choices=list(AREAS))
    asked.add_argument("--json", action="store_true")
    options = asked.parse_args()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import_all()
    counts: dict[str, Counter[str]] = {}
    found: list[Finding] = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as root:
        areas = options.area or list(AREAS)
        for area, refused, finding in fuzz(options.inputs, options.seed, areas, Path(root)):
            kind = "found" if finding else "refused" if refused else "answered"
            counts.setdefault(area, Counter())[kind] += 1
            if finding:
                found.append(finding)
                if not options.json:
                    print(f"{area} {finding.number}: {finding.what}\n  {finding.input[:300]}")
                    print("  | " + finding.said.replace("\n", "\n  | "), flush=True)
    if options.json:
        print(json.dumps({"counts": counts, "found": [each._asdict() for each in found]}))
        return
    print(f"{'area':12} {'inputs':>7} {'answered':>9} {'refused':>8} {'found':>6}")
    for area, count in counts.items():
        numbers = count["answered"], count["refused"], count["found"]
        print(f"{area:12} {sum(numbers):7} {numbers[0]:9} {numbers[1]:8} {numbers[2]:6}")
    sys.exit(bool(found))


def import_all() -> None:
    """Import what commands import, so that a forked process need not."""
    for name in IMPORTED:
        importlib.import_module(name)


IMPORTED = (
    "analysis.figures.registry",
    "analysis.reading",
    "analysis.table",
    "overhear",
    "scaling.receptive_field.runs",
    "scaling.results.run_trial",
    "scaling.settings.recipes",
    "scaling.sound.download",
    "scaling.sound.unpack",
    "scaling.sound.prepare",
    "sklearn.metrics",
    "sweeps.study",
    "sweeps.timing.launch_forecast",
    "torch._dynamo",  # by the first optimizer
)


if __name__ == "__main__":
    main()
