"""Options that several commands share, alone and in groups of those that go together.

Heavy libraries are imported when a command runs, so that help is instant. Contents: the options;
RecipeOptions, ClipOptions, MachineOptions (see scaling.commands.groups); `pairs`, `check_driver`.
"""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from scaling.typed import device, pair, results, threads, word

if TYPE_CHECKING:
    from scaling.machine import Machine
    from scaling.settings import Trial
    from scaling.sound.datasets.reading import Reading
    from scaling.sound.store import Store

TRIALS, RECORDINGS, COMPUTATION = "Trials", "Recordings", "Computation"  # headings of help


def _setting_names(incomplete: str) -> list[str]:
    """For shell completion."""
    from scaling.settings import leaves

    return [f"{name}=" for name in leaves() if name.startswith(incomplete)]


def _recipe_names(incomplete: str) -> list[str]:
    """For shell completion."""
    from scaling.settings.recipes import RECIPES

    return [name for name in RECIPES if name.startswith(incomplete)]


Settings = Annotated[
    list[str] | None,
    typer.Argument(
        parser=pair,
        metavar="KEY=VALUE",
        help="Settings to change, such as network.width=64 (see overhear settings).",
        autocompletion=_setting_names,
    ),
]
ResultsFolder = Annotated[
    str,
    typer.Argument(parser=results, metavar="RESULTS", help="Results folder or URI of a sweep."),
]
Root = Annotated[
    str | None,
    typer.Option(
        metavar="DIR", help="The dataset's folder (default: looked for in OVERHEAR_DATA)."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON lines.")]
Device = Annotated[
    str, typer.Option(parser=device, metavar="DEVICE", help="auto, cpu, cuda or cuda:N.")
]
PRECISIONS = ("auto", "float32", "bfloat16")
Precision = Annotated[
    str,
    typer.Option(
        parser=word(*PRECISIONS), metavar="|".join(PRECISIONS), help="Precision of the computation."
    ),
]
BACKENDS = ("auto", "overhear", "torchaudio", "nnaudio")
FrontendBackend = Annotated[
    str,
    typer.Option(
        parser=word(*BACKENDS), metavar="|".join(BACKENDS), help="Library for the features."
    ),
]
Capture = Annotated[
    str,
    typer.Option(
        parser=word("auto", "off"),
        metavar="auto|off",
        help="Replay training steps as CUDA graphs: auto, on a GPU where a trial allows it. Not "
        "measured on a GPU yet.",
    ),
]
Column = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="OURS=YOURS",
        help="Your name for a column of the manifest, such as label=species; repeatable.",
    ),
]
GroupFrom = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX",
        help="Keep clips in one fold if the first group matches the same text in their paths.",
    ),
]
Skip = Annotated[
    bool,
    typer.Option(
        "--skip-unreadable",
        help="Skip unreadable recordings and print how many.",
        rich_help_panel=RECORDINGS,
    ),
]
Recipe = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Settings to start from (see overhear recipes).",
        autocompletion=_recipe_names,
    ),
]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME|COST=VALUE",
        help="Refuse trials that cost more: dcase (128,000 parameters, 30 million multiply-adds "
        "as the challenge counts), or as parameters=50000; repeatable.",
        rich_help_panel=TRIALS,
    ),
]
Threads = Annotated[int, typer.Option(parser=threads(0), metavar="N", help="CPU threads (0: all).")]


@dataclass(frozen=True)
class RecipeOptions:
    """A trial, as a recipe with changes."""

    HEADING: ClassVar[str] = TRIALS

    settings: Settings = None
    recipe: Recipe = "quickstart"

    def trial(self, besides: Mapping[str, str] | None = None) -> "Trial":
        """The trial, changed `besides` where its settings do not say otherwise. Raises
        ValueError.
        """
        from scaling.settings import changed
        from scaling.settings.recipes import find

        found = find(self.recipe, f"--recipe {self.recipe}")
        return changed(found, {**(besides or {}), **pairs(self.settings)})


@dataclass(frozen=True)
class ClipOptions:
    """Where a dataset lies and how its clips are read."""

    HEADING: ClassVar[str] = RECORDINGS

    root: Root = None
    column: Column = None
    group_from: GroupFrom = None

    @property
    def reading(self) -> "Reading":
        """How they are read. Raises ValueError."""
        from scaling.sound.datasets.reading import reading

        return reading(self.column, self.group_from)

    def check(self) -> None:
        """Raises ValueError for a --column or --group-from that cannot be meant."""
        assert self.reading is not None

    def check_dataset(self, name: str) -> None:
        """Raises ValueError for a name of no shipped dataset, and for a folder that is not there.
        Whether a person's own dataset is there shows when their code runs; an address, when it is
        read.
        """
        from scaling.own.names import is_own, taken_apart
        from scaling.sound import datasets

        self.check()
        if is_own(taken_apart(name)[0]):
            return
        found = datasets.find(name)
        if "://" not in (self.root or ""):
            datasets.find_root(found, self.root)

    def store(self, trial: "Trial") -> "Store":
        """The packed clips of a trial, packed now where they are not yet. Raises ValueError."""
        from scaling.sound import prepare

        clips = prepare.scan([trial], self.root, self.reading)
        (found,) = prepare.stores([trial], clips).values()
        return found


@dataclass(frozen=True)
class MachineOptions:
    """What a trial computes with here."""

    HEADING: ClassVar[str] = COMPUTATION

    device: Device = "auto"
    precision: Precision = "auto"
    threads: Threads = 0
    frontend_backend: FrontendBackend = "auto"
    capture: Capture = "auto"

    def here(self) -> "Machine":
        """This machine, so used. Raises ValueError."""
        from scaling import machine

        return machine.here(
            self.device, self.precision, self.threads, self.frontend_backend, self.capture
        )


def check_driver(device: str) -> None:
    """Raises ValueError for a GPU where no driver of one is installed, before torch is imported,
    which knows the rest.
    """
    if not device.startswith("cuda") or Path("/dev/kfd").exists():  # AMD's GPUs have that
        return
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        raise ValueError(
            f"--device {device}: this machine has no GPU driver (libcuda.so.1): use cpu, or leave "
            "--device out"
        ) from None


def pairs(settings: list[str] | None) -> dict[str, str]:
    """`key=value` words as a mapping. Raises ValueError for a word without `=`, and for a key that
    has two values.
    """
    found: dict[str, str] = {}
    for each in settings or []:
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise ValueError(f"{each}: write a setting as KEY=VALUE, such as network.width=64")
        if found.get(key, value) != value:
            raise ValueError(f"{key} is set to {found[key]} and to {value}: name it once")
        found[key] = value
    return found
