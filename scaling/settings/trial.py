"""Trial: everything that decides what a trial's records say, and nothing else.

Conventions: a default means "off" (or the plain choice), so that a new field never renames an old
trial; recommended values live in recipes.py. Where a trial runs (device, precision, threads, paths)
is not part of it. Contents: Trial with its id, of the parts in scaling.settings; REVISIONS, with
which ids change; and the doors through which people's words come in: `changed` (dotted fields),
`flat` (columns) and `explain` (an error as one line).
"""

import csv
import difflib
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, NamedTuple, Self, get_args

from pydantic import Field, ValidationError, model_validator

from scaling.part import RECORDED, Part
from scaling.settings.model import Network, Objective, Pruning, Transfer
from scaling.settings.sound import Augment, Microphones, Sound, Split
from scaling.settings.training import Evaluation, Training


class Trial(Part):
    """One network, trained once. Its `id` is its content: equal trials have equal ids,
    everywhere.
    """

    seed: Annotated[int, Field(ge=0, lt=2**63)]
    sound: Sound
    split: Split
    network: Network
    training: Training
    augment: Augment = Augment()
    objective: Objective = Objective()
    evaluation: Evaluation = Evaluation()
    microphones: Microphones = Microphones()
    pruning: Pruning = Pruning()
    transfer: Transfer = Transfer()

    @cached_property
    def id(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON of all fields that are not
        "off", and of the REVISIONS that concern this trial.
        """
        return _hashed(self, [each for each in REVISIONS if each.concerns(self)])

    def idle(self) -> Iterator[tuple[str, str]]:
        """What the objective leaves no room for."""
        if self.objective.kind == "consistency":
            several = "objective.kind=consistency transforms all views but the first"
            yield "augment.transform_share", several
        if self.network.kind == "mfcc":
            yield "sound.features.trainable", "network.kind=mfcc hears no features"
        if self.objective.kind == "neighbours":
            # `training` stays as it is: it has fields that every trial must state, and none counts
            names = [*_optional(Augment, "augment"), *_optional(Pruning, "pruning")]
            names += ["evaluation.disagreement", "transfer.rate", "network.dropout"]
            yield from ((name, "objective.kind=neighbours trains nothing") for name in names)

    @model_validator(mode="after")
    def _one_kind_of_unseen(self) -> Self:
        if self.microphones.test and self.split.train_devices:
            raise ValueError(
                "split.train_devices and microphones.test both make unseen devices: use one of them"
            )
        return self

    @model_validator(mode="after")
    def _views_differ(self) -> Self:
        augment, consistency = self.augment, self.objective.kind == "consistency"
        transformed = augment.transform != "none"
        if consistency and not transformed:
            raise ValueError(
                "objective.kind=consistency compares views of a clip: augment.transform=none "
                "leaves one, name pitch, reverb, mask or combination"
            )
        if not consistency and transformed != (augment.transform_share > 0):
            raise ValueError(
                f"augment.transform={augment.transform} with "
                f"augment.transform_share={augment.transform_share:g}: name both or neither"
            )
        return self

    @model_validator(mode="after")
    def _patches_fit(self) -> Self:
        hop, patch = self.evaluation.patch_hop, self.sound.patch
        if not patch and (hop or self.evaluation.patch_votes != "probabilities"):
            raise ValueError("evaluation.patch_hop and patch_votes need sound.patch above 0")
        if hop > patch:
            raise ValueError(
                f"evaluation.patch_hop={hop} leaves frames out between patches of "
                f"sound.patch={patch}: at most that"
            )
        return self

    @model_validator(mode="after")
    def _transfers(self) -> Self:
        if self.transfer.weights and self.network.kind != "vggish":
            raise ValueError(
                f"transfer.weights={self.transfer.weights} are VGGish's: network.kind="
                f"{self.network.kind} cannot take them over"
            )
        if self.network.kind == "timbre" and (self.transfer.trial or self.transfer.weights):
            raise ValueError(
                "transfer: network.kind=timbre is one layer, which is new in every trial: take "
                "another network over"
            )
        if self.objective.kind == "prototypes" and (
            self.network.kind == "cp_resnet" and self.network.initialization == "fixup"
        ):
            raise ValueError(
                "objective.kind=prototypes: the last layer of network.initialization=fixup begins "
                "at zero, where all prototypes are one: network.initialization=he"
            )
        plain = self.network.kind == "mfcc"
        if plain and self.objective.kind != "neighbours":
            raise ValueError("network.kind=mfcc trains nothing: objective.kind=neighbours")
        if self.objective.kind == "neighbours" and plain == bool(
            self.transfer.trial or self.transfer.weights
        ):
            raise ValueError(
                "objective.kind=neighbours compares MFCC (network.kind=mfcc) or what a trained "
                "network makes of clips (transfer.trial or transfer.weights): name one of them"
            )
        return self

    @model_validator(mode="after")
    def _front_end_learns(self) -> Self:
        if self.sound.features.trainable != "none" and self.objective.kind == "prototypes":
            raise ValueError(
                f"sound.features.trainable={self.sound.features.trainable}: objective.kind="
                "prototypes keeps the features of its examples, which must not change: none"
            )
        return self

    @model_validator(mode="after")
    def _roll_fits(self) -> Self:
        if self.augment.roll > self.sound.seconds:
            raise ValueError(
                f"augment.roll={self.augment.roll:g} s must not exceed "
                f"sound.seconds={self.sound.seconds:g}"
            )
        return self

    @model_validator(mode="after")
    def _pruning_fits(self) -> Self:
        pruning, epochs = self.pruning, self.training.epochs
        if pruning.kind == "magnitude" and pruning.start + pruning.length >= epochs:
            raise ValueError(
                f"pruning.start={pruning.start} and pruning.length={pruning.length} must end "
                f"before training.epochs={epochs}: the last cut is trained on"
            )
        if pruning.kind == "magnitude" and self.training.patience:
            raise ValueError(
                f"training.patience={self.training.patience} may end a trial before "
                "pruning.kind=magnitude has cut to its target: name one of them"
            )
        if pruning.target_width and pruning.target_width > self.network.width:
            raise ValueError(
                f"pruning.target_width={pruning.target_width} is above network.width="
                f"{self.network.width}: pruning cannot add weights"
            )
        return self


class Revision(NamedTuple):
    """A change of what the same settings mean: trials that it concerns have new ids, so that their
    records never stand for, nor are averaged with, those of before.
    """

    name: str
    concerns: Callable[[Trial], bool]


REVISIONS = (
    # 2026-11-27: the share was rounded class by class, up to 25 % off; now its total is exact
    Revision(
        "exact split.fraction",
        lambda trial: trial.split.fraction < 1 and not trial.split.by_chance,
    ),
)


def earlier_ids(trial: Trial) -> list[str]:
    """The ids that a trial of these settings had before the revisions that concern it, the oldest
    first; none where nothing was revised. Their records are of other data or draws.
    """
    concerning = [each for each in REVISIONS if each.concerns(trial)]
    return [_hashed(trial, concerning[:count]) for count in range(len(concerning))]


def _hashed(trial: Trial, revisions: Sequence[Revision]) -> str:
    stated = trial.model_dump(mode="json", exclude_defaults=True)
    if revisions:
        stated["revisions"] = [each.name for each in revisions]
    return hashed(stated)


def hashed(stated: Mapping[str, Any]) -> str:
    """The id of what a trial states: 12 hex digits of the SHA-256 of its canonical JSON."""
    canonical = json.dumps(stated, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _optional(part: type[Part], prefix: str) -> list[str]:
    """The dotted names of a part's fields that may be left out."""
    return [f"{prefix}.{name}" for name, f in part.model_fields.items() if not f.is_required()]


def unflat(row: Mapping[str, Any]) -> Trial:
    """The Trial of a manifest's row: the inverse of `flat`. Other columns are ignored, what an
    older manifest lacks is off, and settings that change nothing, which an older version took, stay
    as they are recorded. Raises ValueError when the row is no trial of this version.
    """
    nested: dict[str, Any] = {}
    for dotted, kind in leaves().items():
        value = row.get(dotted)
        if value is None:
            continue
        *parents, leaf = dotted.split(".")
        inner = nested
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = _words(dotted, value) if kind == tuple[str, ...] else value
    try:
        return Trial.model_validate(nested, context=RECORDED)
    except ValidationError as error:
        raise ValueError(explain(error)) from None


def flat(trial: Part) -> dict[str, Any]:
    """Every field by its dotted name (`network.width`), in declaration order; tuples become joined
    text.
    """
    columns: dict[str, Any] = {}
    for name in type(trial).model_fields:
        value = getattr(trial, name)
        if isinstance(value, Part):
            columns |= {f"{name}.{inner}": v for inner, v in flat(value).items()}
        else:
            columns[name] = _joined(value) if isinstance(value, tuple) else value
    return columns


def _joined(words: tuple[str, ...]) -> str:
    """The words with commas between; quoted, as in a CSV row, where they hold commas or quotes."""
    row = io.StringIO()
    csv.writer(row, lineterminator="").writerow(words)
    return row.getvalue()


def leaves(part: type[Part] = Trial) -> dict[str, Any]:
    """The type of every settable field by its dotted name: what `--set` accepts."""
    found: dict[str, Any] = {}
    for name, field in part.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Part):
            found |= {f"{name}.{inner}": t for inner, t in leaves(kind).items()}
        else:
            found[name] = kind
    return found


def changed(trial: Trial, changes: Mapping[str, Any]) -> Trial:
    """The same trial with some dotted fields set, checked again.

    Values may be what JSON would hold or text as a person types it (`"64"`, `"a,b"` for a list).
    Raises ValueError that names the field, the value, and the bound or the nearest name.
    """
    known = leaves()
    raw = trial.model_dump(exclude_defaults=True)
    for dotted, value in changes.items():
        if dotted not in known:
            raise ValueError(f"{dotted[:60]}: no such setting{nearest(dotted, known)}")
        *parents, leaf = dotted.split(".")
        inner = raw
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = _typed(dotted, known[dotted], value)
    try:
        return Trial.model_validate(raw)
    except ValidationError as error:
        raise ValueError(explain(error)) from None


# Plain decimal numbers: Python would also take 1_000, other alphabets' digits and spaces around.
_FORMS = {
    int: (re.compile(r"[+-]?[0-9]{1,19}"), "a whole number, as 1000"),
    float: (
        re.compile(r"[+-]?([0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?"),
        "a number, as 0.001 or 1e-3",
    ),
    bool: (re.compile("true|false"), "true or false"),
}


def _typed(dotted: str, kind: Any, value: Any) -> Any:
    """Text as the field's type asks for: a list split at commas, as a row of CSV; `null` for an
    optional field; a number or truth only as it is usually written. All else is left to pydantic.
    """
    if not isinstance(value, str):
        return value
    if kind == tuple[str, ...]:
        return _words(dotted, value)
    options = get_args(kind)
    if type(None) in options:
        if value in ("null", "none"):
            return None
        (kind,) = (each for each in options if each is not type(None))
    form, meant = _FORMS.get(kind, (None, ""))
    if form and not form.fullmatch(value):
        raise ValueError(f"{dotted}={shortened(value)}: write {meant}")
    return value


def _words(dotted: str, text: str) -> tuple[str, ...]:
    """The words of a list: `a,b`, or `"a, or b",c`."""
    try:
        rows = list(csv.reader([text], strict=True)) if '"' in text else [text.split(",")]
    except csv.Error as error:
        raise ValueError(f"{dotted}={shortened(text)}: {error}; quote as in CSV") from None
    return tuple(word for row in rows for word in row if word)


def shortened(text: str, length: int = 60) -> str:
    """The text as Python would write it, its middle left out where it is long."""
    return repr(text) if len(text) <= length else f"{text[:length]!r}... ({len(text)} characters)"


def nearest(word: str, words: Any) -> str:
    """` (did you mean x?)` with the closest known word, whatever its capitals, or the known words
    when none is close.
    """
    known = [str(w) for w in words]
    if close := closest(word, known):
        return f" (did you mean {close}?)"
    return f" (known: {', '.join(known)})" if known else ""


def closest(word: str, known: Sequence[str]) -> str:
    """The known word that is nearly this one, whatever its capitals; "" if none is."""
    word = word[:200]
    folded = {w.casefold(): w for w in reversed(known)}
    if near := difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6):
        return folded[near[0]]
    # `width` for `network.width`
    return next((w for w in known if w.split(".")[-1] == word.split(".")[-1]), "")


def explain(error: ValidationError) -> str:
    """The first problem of a pydantic error as one line: field, value, bound; and how many more
    there are.
    """
    problems = error.errors(include_url=False)
    first = problems[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        line = f"{name}: no such setting{nearest(name, leaves())}"
    elif first["type"] == "value_error":
        said = first["msg"].removeprefix("Value error, ")
        joint = "." if " changes nothing: " in said else ": "  # which begins with the field's name
        line = f"{name}{joint if name else ''}{said}"
    elif first["type"] == "missing":
        line = f"{name}: missing"
    else:
        given = first["input"]
        said = shortened(given) if isinstance(given, str) else f"{given!r:.80}"
        line = f"{name}={said}: {first['msg'][0].lower()}{first['msg'][1:]}"
    return line + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")
