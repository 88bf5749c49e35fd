"""Studies: a question, a source, and the trials that answer it.

A study is a Python file with QUESTION, SOURCE and `trials()`, which yields Trials, or BASE, SPACE
and SAMPLES in its place (sweeps.adaptive.search); STOPPING (sweeps.adaptive.early_stopping) if
trials may be stopped early; CLAIMS (scaling.results.claims), what it wants to know, if it can be
told beforehand; ARMS (sweeps.arms), what it also does as a paper has it. It is a file below
sweeps/studies, found by its name, or the user's own, found by its path. Contents: Study; `find`,
`shipped`, `names`; `trials_of`, what a launch runs; and what studies are written with: `product`,
`repeats`, `distinct`.
"""

import importlib
import itertools
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from scaling.results.claims import MOST, Claim
from scaling.settings import Trial, changed
from scaling.spelling import closest
from sweeps import study_file
from sweeps.adaptive.early_stopping import Rule
from sweeps.adaptive.search import Search, check
from sweeps.arms import Arm
from sweeps.lineage import sources, stages

STUDIES = Path(__file__).parent / "studies"


class Study(NamedTuple):
    """What can be swept."""

    name: str
    question: str
    source: str
    trials: Callable[[], Iterable[Trial]]
    search: Search | None = None  # then trials are its BASE alone
    stopping: Rule | None = None
    file: Path | None = None  # the user's own
    claims: tuple[Claim, ...] = ()
    arms: tuple[Arm, ...] = ()

    @property
    def size(self) -> int:
        """How many trials it has."""
        return self.search.samples if self.search else len(trials_of(self, {}))


def product(trial: Trial, **values: Sequence[Any]) -> Iterator[Trial]:
    """Every combination of values, the last varying fastest; a field's dots are written `__`."""
    names = [name.replace("__", ".") for name in values]
    for combination in itertools.product(*values.values()):
        yield changed(trial, dict(zip(names, combination, strict=True)))


def repeats(trials: Iterable[Trial], count: int) -> Iterator[Trial]:
    """Each trial with seeds 0 to count - 1; trials that differ in nothing but their seed are
    one.
    """
    if count < 1:
        raise ValueError(f"repeats={count} must be at least 1")
    for trial in distinct(changed(trial, {"seed": 0}) for trial in trials):
        yield from (changed(trial, {"seed": seed}) for seed in range(count))


def distinct(trials: Iterable[Trial]) -> Iterator[Trial]:
    """The trials in their order, each once."""
    yield from {trial.id: trial for trial in trials}.values()


def shipped() -> list[Study]:
    """The studies that come with Overhear, by name."""
    return [_shipped(name) for name in names()]


def find(name: str) -> Study:
    """The study of this name, or in this Python file. Raises ValueError that says what is wrong
    with it.
    """
    if name.endswith(".py"):
        return _study(Path(name).stem, study_file.load(name), Path(name))
    if name in (known := names()):
        return _shipped(name)
    own = f"{name}.py" if name and Path(f"{name}.py").is_file() else None
    near = own or closest(name, known)
    meant = f" (did you mean {near}?)" if near else ""
    raise ValueError(
        f"study {study_file.one_line(name)}: no such study{meant}; overhear studies "
        "lists those that are shipped, a file of yours ends in .py"
    )


def names() -> list[str]:
    """The names of the studies that come with Overhear."""
    return sorted(module.name for module in pkgutil.iter_modules([str(STUDIES)]))


def _shipped(name: str) -> Study:
    return _study(name, importlib.import_module(f"sweeps.studies.{name}"))


def _study(name: str, module: ModuleType, file: Path | None = None) -> Study:
    texts = [getattr(module, attribute, None) for attribute in ("QUESTION", "SOURCE")]
    listed, searched = callable(getattr(module, "trials", None)), hasattr(module, "SPACE")
    if not all(isinstance(text, str) for text in texts) or listed == searched:
        raise ValueError(
            f"study {name}: a study states QUESTION and SOURCE as text and has a function "
            "trials(), or a SPACE in its place"
        )
    rule = getattr(module, "STOPPING", None)
    if not isinstance(rule, Rule | None):
        raise ValueError(
            f"study {name}: STOPPING={study_file.shown(rule)}: must be an Asha or a Median of "
            "sweeps.adaptive.early_stopping"
        )
    claims = _claims(name, getattr(module, "CLAIMS", ()))
    arms = _arms(name, getattr(module, "ARMS", ()))
    said = module.QUESTION, module.SOURCE
    if listed:
        return Study(name, *said, module.trials, None, rule, file, claims, arms)
    stated = [getattr(module, attribute, None) for attribute in ("BASE", "SPACE", "SAMPLES")]
    search = Search._make([*stated, getattr(module, "METRIC", "accuracy")])
    try:
        check(search)
    except ValueError as error:
        raise ValueError(f"study {name}: {error}") from None
    base = search.base
    return Study(name, *said, lambda: [base], search, rule, file, claims, arms)


def _claims(study: str, claims: Any) -> tuple[Claim, ...]:
    """A study's CLAIMS. Raises ValueError for what is none, and for one text of two."""
    if not isinstance(claims, tuple | list):
        raise ValueError(
            f"study {study}: CLAIMS={study_file.shown(claims)}: must be a tuple of Claims of "
            "scaling.results.claims, as (Claim(...),)"
        )
    if len(claims) > MOST:
        raise ValueError(f"study {study}: {len(claims):,} CLAIMS: at most {MOST}")
    texts: set[str] = set()
    for claim in claims:
        if not isinstance(claim, Claim):
            raise ValueError(f"study {study}: CLAIMS hold {study_file.shown(claim)}, not a Claim")
        if claim.text in texts:
            raise ValueError(
                f"study {study}: two CLAIMS say {study_file.shown(claim.text)}: each needs a text "
                "of its own"
            )
        texts.add(claim.text)
    return tuple(claims)


def _arms(study: str, arms: Any) -> tuple[Arm, ...]:
    """A study's ARMS. Raises ValueError for what is none."""
    listed = arms if isinstance(arms, tuple | list) else (arms,)
    for arm in listed:
        if not isinstance(arm, Arm):
            raise ValueError(
                f"study {study}: ARMS hold {study_file.shown(arm)}, not an Arm of sweeps.arms"
            )
    return tuple(listed)


def _altered(
    trials: Sequence[Trial], settings: Mapping[str, Any], repeat: int | None, trusted: bool
) -> Iterator[Trial]:
    """The trials with these settings, with seeds 0 to repeat - 1 where it is given; each is checked
    again, unless nothing changes one of those that are `trusted`.

    A trial that takes over from another takes over from that one as altered, of its own seed.
    Teachers keep their seeds, in which those of an ensemble differ, and are not repeated.
    """
    if repeat is not None and repeat < 1:
        raise ValueError(f"repeats={repeat} must be at least 1")
    seeds = (None,) if repeat is None else range(repeat)
    taken, made = sources(trials), dict[tuple[str, int | None], Trial]()
    teach = {name for trial in trials for name in trial.objective.sources}
    for trial in itertools.chain.from_iterable(stages(trials)):
        for seed in seeds:
            changes = {**settings}
            if seed is not None and trial.id not in teach:
                changes["seed"] = seed
            now = {each.id: made[each.id, seed].id for each in taken[trial.id]}
            if trial.transfer.trial in now:
                changes["transfer.trial"] = now[trial.transfer.trial]
            if trial.objective.sources and now:
                named = [now.get(name, name) for name in trial.objective.sources]
                changes["objective.teachers"] = tuple(sorted(named))
            as_it_is = trusted and not changes
            made[trial.id, seed] = trial if as_it_is else changed(trial, changes)
    for trial in trials:
        yield from (made[trial.id, seed] for seed in seeds)


def trials_of(study: Study, settings: Mapping[str, Any], repeat: int | None = None) -> list[Trial]:
    """What a launch runs: the study's trials with these settings changed, repeated, each once. Of a
    search the first one.

    Raises ValueError when a setting does not fit, or the study's own code raises or yields
    something else.
    """
    if study.search and repeat is not None:
        raise ValueError(f"study {study.name} searches a space: --repeats needs listed trials")
    if study.search and (both := sorted(settings.keys() & study.search.space.keys())):
        raise ValueError(f"study {study.name} searches {both[0]}: change its SPACE instead")
    trials = study_file.listed(study.name, study.trials, study.file)
    if repeat is not None and repeat * len(trials) > study_file.TRIALS:
        raise ValueError(
            f"--repeats {repeat:,} of {len(trials):,} trials are {repeat * len(trials):,}: at most "
            f"{study_file.TRIALS:,}"
        )
    shipped_here = study.file is None  # else a person's, who may have made trials without a check
    trials = list(distinct(_altered(trials, settings, repeat, shipped_here)))
    if not trials:
        raise ValueError(f"study {study.name}: trials() yields none")
    return trials
