"""Claims: what a study wants to know, stated before it runs.

A claim compares two sides, each the trials that have certain settings; or it says that they are
alike, that they differ more in one place than in another, or that one side reaches a level.
Kept with results by scaling.results.statements, judged in analysis.claims. Contents: METRICS,
FIELDS, Claim, Unit, `unit_of`, `selected`, `described`, `unmet`. Knows neither torch nor pandas.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args, get_origin

from scaling.settings import Trial, admits, flat, leaves
from scaling.spelling import SETTINGS, nearest, shortened

GAP = "unseen - seen"
SPLITS = ("seen", "unseen", "test", "validation", "train_clean", GAP)
METRICS = ("accuracy", "macro_f1", "loss")
SHARES = ("accuracy", "macro_f1")
UNITS = ("folds", "repeats", "devices")  # clips of one training are no repeat of a comparison
SELECTORS = ("better", "worse", "where", "than")
REPEATS = ("seed", "split.fold", "split.validation_fold")
MOST = 100  # claims of one study: each makes all others harder to support
LONGEST = 200  # letters of a claim's text


class Unit(NamedTuple):
    """What the effects of a metric are said in."""

    name: str
    factor: float = 1.0  # from a value to what is said
    digits: int = 1  # after the point

    def text(self, value: float, sign: str = "") -> str:
        """A value without its unit."""
        return f"{self.factor * value:{sign}z.{self.digits}f}"


POINTS, NATS = Unit("points", 100.0), Unit("nats", digits=3)
# sizes of effective receptive fields (kind feature), as `overhear erf` computes them
FIELDS = {
    "sigma_f": Unit("mel bands"),  # standard deviation along frequency
    "sigma_t": Unit("frames"),  # along time
    "luo_side": Unit("pixels"),
    "side50": Unit("pixels"),  # of the centred square that holds half of the mass
    "area50": Unit("points of the input's area", 100.0),  # the share of it in that square
}


@dataclass(frozen=True)
class Claim:
    """What a study wants to know, stated before it runs: `better` exceeds `worse` by `at_least`.

    Selectors map dotted settings to a value as the manifest has it, or to a tuple of such values,
    any of which will do. An empty `worse` makes it a claim about a level: the mean of `better` is
    `at_least`. With `within`, both sides are alike: they differ by less than that. With `than`,
    the effect is how much more they differ where the settings of `where` hold than where those of
    `than` do in their place. Of a loss, less is better: the effect is worse - better; of a field,
    `better` is the larger. Raises ValueError of one line for what cannot be meant.
    """

    text: str  # "width helps on unseen devices"; unique in its study
    better: Mapping[str, Any]  # settings of one side by dotted name
    worse: Mapping[str, Any]  # those of the other
    on: str = "unseen"  # a split, or "unseen - seen"
    metric: str = "accuracy"  # as recorded, or one of FIELDS
    at_least: float = 0.0  # the effect that matters, as a fraction: .02 is 2 points; losses: nats
    where: Mapping[str, Any] = field(default_factory=dict)  # what both sides have
    choose: tuple[str, ...] = ()  # settings that each side chooses on validation clips first
    unit: str = ""  # folds, repeats or devices; "": the widest that the design allows
    published: float | None = None  # the paper's own effect, as `at_least`
    source: str = ""  # where that stands, or whose claim it is
    within: float | None = None  # the margin within which both sides are alike, as `at_least`
    than: Mapping[str, Any] = field(default_factory=dict)  # what takes the place of `where`

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise ValueError(f"a claim's text={self.text!r:.60} must say in words what is claimed")
        if len(self.text) > LONGEST:
            raise ValueError(f"{self.said}: {len(self.text)} letters, at most {LONGEST}")
        for name, known in (
            *(("on", SPLITS), ("metric", (*METRICS, *FIELDS))),
            ("unit", ("", *UNITS)),
        ):
            self._check_word(name, getattr(self, name), known)
        for name in SELECTORS:
            self._check_selector(name, getattr(self, name))
        self._check_sides()
        self._check_than()
        self._check_field()
        self._check_choice()
        self._check_numbers()
        if not isinstance(self.source, str) or len(self.source) > LONGEST:
            raise ValueError(f"{self.said}: source must be a text of at most {LONGEST} letters")

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

    @property
    def of_field(self) -> bool:
        """Whether it is about the size of receptive fields."""
        return self.metric in FIELDS

    @property
    def sides(self) -> dict[str, dict[str, Any]]:
        """The settings of the trials of each side, by its name."""
        of = {"better": self.better} if self.level else {"better": self.better, "worse": self.worse}
        found = {name: {**self.where, **side} for name, side in of.items()}
        if self.than:
            found |= {f"{name} of than": {**found[name], **self.than} for name in of}
        return found

    def _check_word(self, name: str, word: Any, known: Iterable[str]) -> None:
        if word not in known:
            hint = nearest(str(word), [each for each in known if each])
            raise ValueError(f"{self.said}: {name}={word!r:.60}: no such {name}{hint}")

    def _check_selector(self, side: str, selector: Any) -> None:
        if not isinstance(selector, Mapping):
            raise ValueError(f"{self.said}: {side}={selector!r:.60} must be a mapping of settings")
        for name, value in selector.items():
            self._check_setting(side, name)
            wanted = value if isinstance(value, tuple) else (value,)
            if not wanted:
                raise ValueError(f"{self.said}: {side} {name}=() has no value and matches no trial")
            for each in wanted:
                if reason := _misfit(name, each):
                    raise ValueError(f"{self.said}: {side} {name}={each!r:.60}: {reason}")

    def _check_setting(self, side: str, name: Any) -> None:
        if name not in leaves():
            raise ValueError(
                f"{self.said}: {side} {name!s:.60}: no such setting"
                f"{nearest(str(name), leaves(), SETTINGS)}"
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
                raise ValueError(f"{self.said}: {both[0]} is in {side} and in where: give it once")
        if self.level and self.metric == "loss":
            raise ValueError(f"{self.said}: a level is of accuracy or macro_f1, not of loss")

    def _check_than(self) -> None:
        where, than = _plain(self.where), _plain(self.than)
        if self.than and self.level:
            raise ValueError(f"{self.said}: than of a level: it compares two differences")
        for name in than:
            if name not in where:
                raise ValueError(
                    f"{self.said}: than {name}: name it in where, too, with the value at which "
                    "the difference is to be larger"
                )
            if both := where[name] & than[name]:
                raise ValueError(
                    f"{self.said}: {name}={sorted(map(str, both))[0]} stands in where and in than"
                )

    def _check_field(self) -> None:
        if self.of_field and self.on == GAP:
            raise ValueError(
                f"{self.said}: metric={self.metric}: a field is of one split's clips; name unseen, "
                "seen or test"
            )

    def _check_choice(self) -> None:
        if not isinstance(self.choose, tuple):
            raise ValueError(f"{self.said}: choose={self.choose!r:.60} must be a tuple of settings")
        for name in self.choose:
            self._check_setting("choose", name)
        if self.choose and self.on == "validation":
            raise ValueError(
                f"{self.said}: on=validation: what is chosen by validation clips is judged by "
                "others; name unseen, seen or test"
            )

    def _check_numbers(self) -> None:
        for name in ("at_least", "published", "within"):
            value = getattr(self, name)
            if value is None and name != "at_least":
                continue
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not math.isfinite(value):
                raise ValueError(f"{self.said}: {name}={value!r:.60} must be a finite number")
            least = 0 if self.level and self.on != GAP else -1
            if self.metric in SHARES and not least <= value <= 1:
                hint = f"; {value:g} points are {value / 100:g}" if abs(value) <= 100 else ""
                raise ValueError(f"{self.said}: {name}={value:g}: a fraction, {least} to 1{hint}")
        if self.within is not None:
            self._check_within(self.within)

    def _check_within(self, margin: float) -> None:
        if margin <= 0:
            raise ValueError(f"{self.said}: within={margin:g}: a margin must be above 0")
        if self.at_least:
            raise ValueError(
                f"{self.said}: within={margin:g} and at_least={self.at_least:g} exclude each "
                "other: give one of them"
            )
        if self.level:
            raise ValueError(f"{self.said}: within compares two sides: name worse")


def unit_of(metric: str) -> Unit:
    """What the effects of a metric are said in."""
    return POINTS if metric in SHARES else FIELDS.get(metric, NATS)


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
        bound = "at least" if claim.within is None else "within"
        effect = f"{claim.at_least if claim.within is None else claim.within:g}"
        unit = "" if claim.metric in SHARES else f" {unit_of(claim.metric).name}"
        sides = " over ".join(filter(None, map(selected, (claim.better, claim.worse))))
        where = f", where {selected(claim.where)}" if claim.where else ""
        where += f", more than where {selected(claim.than)}" if claim.than else ""
        lines.append(f"- {claim.text}")
        lines.append(f"  {claim.metric} on {claim.on}: {bound} {effect}{unit}, {sides}{where}")
    return lines


def unmet(claims: Sequence[Claim], trials: Sequence[Trial]) -> Iterator[str]:
    """A line for each claim one of whose sides has none of these trials."""
    rows = [flat(trial) for trial in trials] if claims else []
    for claim in claims:
        for side, selector in claim.sides.items():
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
