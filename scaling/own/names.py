"""Names of own parts: how `module:Class` is told from a shipped kind, and where it may stand.

Contents: OWN, PATTERN, `is_own`, `module_of`, `family`,
`described`, `taken_apart`; Words (a field that holds a shipped word or
an own name), Source and Options (its siblings); Group, GROUPS; OFF, `idle`.
"""

import re
from typing import Annotated, Any, NamedTuple

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

OWN = "module:Class"  # stands for all of them where kinds are listed
_WORD = r"[A-Za-z_][A-Za-z0-9_]{0,60}"
PATTERN = rf"^{_WORD}(\.{_WORD}){{0,8}}:{_WORD}$"
_NAME = re.compile(PATTERN[:-1] + r"\Z")

Source = Annotated[
    str,
    Field(
        pattern="^([0-9a-f]{64})?$",
        description="SHA-256 of the source of your own part; filled in automatically",
    ),
]
Options = Annotated[
    tuple[str, ...],
    Field(
        max_length=100,
        description="settings of your own part; write each as options.NAME=VALUE",
    ),
]


class Group(NamedTuple):
    """One place where an own part may stand."""

    what: str
    field: str  # the setting that names it
    entry_points: str  # the group in which installed packages list theirs
    given: tuple[str, ...] = ()  # settings beside it that it is given where it takes them

    @property
    def prefix(self) -> str:
        """Of its sibling settings, `source` and `options`."""
        return self.field.rpartition(".")[0] + "."


NETWORK = Group(
    "network", "network.kind", "overhear.networks", given=("width", "damping", "dropout")
)
OBJECTIVE = Group("objective", "objective.kind", "overhear.objectives")
TRANSFORM = Group("augmentation", "augment.transform", "overhear.transforms")
FRONTEND = Group(
    "front end",
    "sound.features.kind",
    "overhear.frontends",
    given=("window", "low", "high"),
)
DATASET = Group("dataset", "sound.dataset", "overhear.datasets")
# what a setting is that an own part takes no notice of, and another may have left
OFF = {"width": 1, "damping": 0.0, "dropout": 0.0, "window": 0, "low": 0.0, "high": 0.0}
GROUPS = (NETWORK, OBJECTIVE, TRANSFORM, FRONTEND, DATASET)


def is_own(kind: object) -> bool:
    """Whether this names a person's own part."""
    return isinstance(kind, str) and _NAME.match(kind) is not None


def module_of(kind: str) -> str:
    """The top-level module of `module:Class`."""
    return kind.partition(":")[0].partition(".")[0]


def described(kind: str, options: tuple[str, ...]) -> str:
    """`module:Class NAME=VALUE,NAME=VALUE`: a part with its options, in one text."""
    return f"{kind} {','.join(options)}" if options else kind


def taken_apart(text: str) -> tuple[str, tuple[str, ...]]:
    """The inverse of `described`."""
    kind, _, options = text.partition(" ")
    return kind, tuple(filter(None, options.split(",")))


def idle(dotted: str, value: Any, kind: str) -> ValueError:
    """Says that a part of a person's own takes no notice of this setting."""
    name = dotted.rpartition(".")[2]
    return ValueError(
        f"{dotted}={value} changes nothing: {kind} takes no {name}; leave it at {OFF[name]:g}"
    )


def family(kind: Any) -> Any:
    """The kind, or OWN for a person's own."""
    return OWN if is_own(kind) else kind


def check_source(field: str, kind: str, source: str) -> None:
    """Raises ValueError where a part of a person's own has no source, or another has one."""
    if is_own(kind) and not source:
        raise ValueError(
            f"{field}={kind} without source: name it by scaling.settings.changed, which reads its "
            "source"
        )
    if source and not is_own(kind):
        raise ValueError(f"source={source[:12]} is of a part of your own, {field}={kind} is none")


class Words(NamedTuple):
    """Annotates a field that holds one of these words, or the name of an own part."""

    words: tuple[str, ...]

    def __get_pydantic_core_schema__(
        self,
        source: Any,
        handler: GetCoreSchemaHandler,
    ) -> CoreSchema:
        def known(value: str) -> str:
            if value in self.words or _NAME.match(value):
                return value
            *first, last = map(repr, (*self.words, OWN))
            expected = f"{', '.join(first)} or {last}"
            raise PydanticCustomError(
                "literal_error", "Input should be {expected}", {"expected": expected}
            )

        return core_schema.no_info_after_validator_function(
            known, core_schema.str_schema(strict=True)
        )
