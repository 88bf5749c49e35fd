"""Claims: what a study wants to know, stated before it runs, and kept with its results.

A claim compares two sides, each the trials that have certain settings; or it names a level that
one side reaches. Each launch keeps the claims of its study in `claims/<launch>.json`, sealed, with
how many of its trials had ended by then: what is stated after results were seen shows it. Judged in
analysis.claims. Contents: Claim, `selected`, `described`, `unmet`; Stated, `state`, `stated`;
`claim_of`. Knows neither torch nor pandas.
"""

import datetime
import math
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args, get_origin

from scaling.settings import Trial, admits, flat, leaves
from scaling.spelling import nearest, shortened

if TYPE_CHECKING:
    from scaling.results.folder import Folder

GAP = "unseen - seen"
SPLITS = ("seen", "unseen", "test", "validation", "train_clean", GAP)
METRICS = ("accuracy", "macro_f1", "loss")
UNITS = ("folds", "repeats", "devices")  # clips of one training are no repeat of a comparison
REPEATS = ("seed", "split.fold", "split.validation_fold")
KIND = "claims"  # the folder of the files
LAYOUT = 1  # of a file; raised when an older reader would misread a newer one
MOST = 100  # claims of one study: each makes all others harder to support
LONGEST = 200  # letters of a claim's text
BYTES = 2**20  # of a file that is read


@dataclass(frozen=True)
class Claim:
    """What a study wants to know, stated before it runs: `better` exceeds `worse` by `at_least`.

    Selectors map dotted settings to a value as the manifest has it, or to a tuple of such values,
    any of which will do. An empty `worse` makes it a claim about a level: the mean of `better` is
    `at_least`. Of a loss, less is better: the effect is worse - better. Raises ValueError of one
    line for what cannot be meant.
    """

    text: str  # "width helps on unseen devices"; unique in its study
    better: Mapping[str, Any]  # settings of one side by dotted name
    worse: Mapping[str, Any]  # those of the other
    on: str = "unseen"  # a split, or "unseen - seen"
    metric: str = "accuracy"  # as recorded
    at_least: float = 0.0  # the effect that matters, as a fraction: .02 is 2 points; losses: nats
    where: Mapping[str, Any] = field(default_factory=dict)  # what both sides have
    choose: tuple[str, ...] = ()  # settings that each side chooses on validation clips first
    unit: str = ""  # folds, repeats or devices; "": the widest that the design allows
    published: float | None = None  # the paper's own effect, as `at_least`
    source: str = ""  # where that stands, or whose claim it is

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise ValueError(f"a claim's text={self.text!r:.60}: say in words what is claimed")
        if len(self.text) > LONGEST:
            raise ValueError(f"{self.said}: {len(self.text)} letters, at most {LONGEST}")
        for name, known in (("on", SPLITS), ("metric", METRICS), ("unit", ("", *UNITS))):
            self._check_word(name, getattr(self, name), known)
        for name in ("better", "worse", "where"):
            self._check_selector(name, getattr(self, name))
        self._check_sides()
        self._check_choice()
        self._check_numbers()
        if not isinstance(self.source, str) or len(self.source) > LONGEST:
            raise ValueError(f"{self.said}: source is a text of at most {LONGEST} letters")

    @property
    def said(self) -> str:
        """The claim, as a message names it."""
        return f"claim {shortened(self.text, LONGEST)}"

    @property
    def level(self) -> bool:
        """Whether it is about one side alone."""
        return not self.worse

    @property
    def named(self) -> tuple[str, ...]:
        """The settings that may tell its sides apart."""
        return tuple(dict.fromkeys((*self.better, *self.worse, *self.choose)))

    def _check_word(self, name: str, word: Any, known: Iterable[str]) -> None:
        if word not in known:
            hint = nearest(str(word), [each for each in known if each])
            raise ValueError(f"{self.said}: {name}={word!r:.60}: no such {name}{hint}")

    def _check_selector(self, side: str, selector: Any) -> None:
        if not isinstance(selector, Mapping):
            raise ValueError(f"{self.said}: {side}={selector!r:.60}: a mapping of settings")
        for name, value in selector.items():
            self._check_setting(side, name)
            wanted = value if isinstance(value, tuple) else (value,)
            if not wanted:
                raise ValueError(f"{self.said}: {side} {name}=(): no value, so no trial")
            for each in wanted:
                if reason := _misfit(name, each):
                    raise ValueError(f"{self.said}: {side} {name}={each!r:.60}: {reason}")

    def _check_setting(self, side: str, name: Any) -> None:
        if name not in leaves():
            raise ValueError(
                f"{self.said}: {side} {name!s:.60}: no such setting{nearest(str(name), leaves())}"
            )
        if name in REPEATS and side != "where":
            raise ValueError(
                f"{self.said}: {side} {name}: seeds and folds are averaged, not compared; name "
                "settings of the model"
            )

    def _check_sides(self) -> None:
        if not self.better:
            raise ValueError(f"{self.said}: better is empty: name the settings of its trials")
        if _plain(self.better) == _plain(self.worse):
            raise ValueError(f"{self.said}: better and worse are the same trials")
        for side in ("better", "worse"):
            if both := sorted(self.where.keys() & getattr(self, side).keys()):
                raise ValueError(f"{self.said}: {both[0]} stands in {side} and in where: once")
        if self.level and self.metric == "loss":
            raise ValueError(f"{self.said}: a level is of accuracy or macro_f1, not of loss")

    def _check_choice(self) -> None:
        if not isinstance(self.choose, tuple):
            raise ValueError(f"{self.said}: choose={self.choose!r:.60}: a tuple of settings")
        for name in self.choose:
            self._check_setting("choose", name)
        if self.choose and self.on == "validation":
            raise ValueError(
                f"{self.said}: on=validation: what is chosen by validation clips is judged by "
                "others; name unseen, seen or test"
            )

    def _check_numbers(self) -> None:
        for name in ("at_least", "published"):
            value = getattr(self, name)
            if value is None and name == "published":
                continue
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not math.isfinite(value):
                raise ValueError(f"{self.said}: {name}={value!r:.60}: a finite number")
            least = 0 if self.level and self.on != GAP else -1
            if self.metric != "loss" and not least <= value <= 1:
                hint = f"; {value:g} points are {value / 100:g}" if abs(value) <= 100 else ""
                raise ValueError(f"{self.said}: {name}={value:g}: a fraction, {least} to 1{hint}")


def selected(selector: Mapping[str, Any]) -> str:
    """A selector in words: `network.width=16|32, pruning.kind=none`."""
    return ", ".join(
        f"{name}={'|'.join(map(str, value if isinstance(value, tuple) else (value,)))}"
        for name, value in selector.items()
    )


def described(claims: Sequence[Claim]) -> list[str]:
    """Claims in two lines each, below their number; nothing where there are none."""
    lines = [f"claims stated: {len(claims)}"] if claims else []
    for claim in claims:
        effect = f"{claim.at_least:g}" + (" nats" if claim.metric == "loss" else "")
        sides = " over ".join(filter(None, map(selected, (claim.better, claim.worse))))
        where = f", where {selected(claim.where)}" if claim.where else ""
        lines.append(f"- {claim.text}")
        lines.append(f"  {claim.metric} on {claim.on}: at least {effect}, {sides}{where}")
    return lines


def unmet(claims: Sequence[Claim], trials: Sequence[Trial]) -> Iterator[str]:
    """A line for each claim one of whose sides has none of these trials."""
    rows = [flat(trial) for trial in trials] if claims else []
    for claim in claims:
        for side in ("better",) if claim.level else ("better", "worse"):
            selector = {**claim.where, **getattr(claim, side)}
            wanted = _plain(selector).items()
            if not any(all(row[name] in values for name, values in wanted) for row in rows):
                yield f"{claim.said}: {side}: no trial has {selected(selector)}"
                break


def _misfit(name: str, value: Any) -> str:
    """Why a setting cannot have this value, as the manifest would hold it; "" where it may."""
    kind = leaves()[name]
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        return "" if admits(kind, value) else f"no such choice{nearest(str(value), choices)}"
    types = get_args(kind) if type(None) in get_args(kind) else (kind,)
    if value is None:
        return "" if type(None) in types else "a value, not None"
    if bool in types:
        return "" if isinstance(value, bool) else "True or False"
    if int in types:
        return "" if type(value) is int else "a whole number"
    if float in types:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if fits and math.isfinite(value) else "a finite number"
    return "" if isinstance(value, str) else "text; of a list, its words with commas between"


def _plain(selector: Mapping[str, Any]) -> dict[str, frozenset[Any]]:
    """A selector with each value as the set of what will do."""
    return {
        name: frozenset(value if isinstance(value, tuple) else (value,))
        for name, value in selector.items()
    }


class Stated(NamedTuple):
    """A claim as a results folder holds it."""

    study: str
    claim: Claim
    when: datetime.datetime  # of the first launch that stated it in these words and numbers
    ended: int  # trials of that launch that had ended by then
    earlier: int  # other claims of the same text that were stated before


def state(study: str, claims: Iterable[Claim], ended: int, results: "Folder") -> None:
    """Keep a study's claims, of whose trials `ended` have ended, unless the folder has them."""
    from scaling.results import seal

    known = [each.claim for each in stated(results) if each.study == study]
    listed = list(claims)
    if all(claim in known for claim in listed):
        return
    now = datetime.datetime.now(datetime.UTC)
    note = {
        "overhear": LAYOUT,
        "study": study,
        "stated": now.isoformat(),
        "ended": ended,
        "claims": [asdict(claim) for claim in listed],
    }
    name = f"{now:%Y%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex[:6]}.json"
    results.put(seal.note(note), KIND, name)


def stated(*folders: "Folder") -> list[Stated]:
    """The claims of results folders, in the order of their first statement; of several with one
    study and text the last. Raises Damaged for a file that is not what was written.
    """
    found: dict[tuple[str, str], Stated] = {}
    files = [(name, folder) for folder in folders for name in folder.names(KIND, ".json")]
    for name, folder in sorted(files, key=lambda file: file[0]):  # a name begins with its time
        for each in _read(name, folder):
            known = found.get(key := (each.study, each.claim.text))
            if known is None:
                found[key] = each
            elif known.claim != each.claim:
                found[key] = each._replace(earlier=known.earlier + 1)
    return list(found.values())


def _read(name: str, results: "Folder") -> list[Stated]:
    from scaling.results import seal
    from scaling.results.folder import Damaged

    content = results.get(KIND, f"{name}.json", most=BYTES)
    if content is None:  # removed meanwhile
        return []
    path = f"{results.path(KIND, name)}.json"
    try:
        note = seal.noted(content)
        if type(note.get("overhear")) is int and note["overhear"] > LAYOUT:
            raise ValueError("a newer Overhear wrote it: update Overhear")
        study, ended, listed = (note[key] for key in ("study", "ended", "claims"))
        when = datetime.datetime.fromisoformat(note["stated"])
        if not isinstance(study, str) or type(ended) is not int or not isinstance(listed, list):
            raise ValueError("study, ended and claims are not text, number and list")
        if len(listed) > MOST or ended < 0:
            raise ValueError(f"at most {MOST} claims and no less than 0 trials")
        return [Stated(study, claim_of(row), when, ended, 0) for row in listed]
    except (ValueError, TypeError, KeyError) as error:
        raise Damaged(
            f"{path} cannot be read ({error}): restore it from a copy, or delete it, and sweep "
            "again, which states the claims"
        ) from None


def claim_of(row: Any) -> Claim:
    """A claim from its JSON form. Raises ValueError or TypeError."""
    if not isinstance(row, dict):
        raise ValueError("a claim is no JSON object")
    if unknown := row.keys() - {each.name for each in fields(Claim)}:
        raise ValueError(f"a claim has no {sorted(unknown)[0]!r:.60}")
    made = dict(row)
    for side in ("better", "worse", "where"):
        selector = row.get(side, {})
        if isinstance(selector, dict):
            made[side] = {n: tuple(v) if isinstance(v, list) else v for n, v in selector.items()}
    if isinstance(choose := row.get("choose", []), list):
        made["choose"] = tuple(choose)
    return Claim(**made)
