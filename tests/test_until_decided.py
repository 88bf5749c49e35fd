"""sweeps.adaptive.until_decided: repeats are added until claims are decided, by looks that are
kept; a plan never changes. Launches are played by records of the test's own, but for one real one.
"""

import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from rich.console import Console
from test_analysis_table import end, measure, plan, results, trial
from test_sweep import overhear
from typer.testing import CliRunner

from analysis import ledger
from analysis.sequential import levels
from overhear.command import app
from scaling.results.claims import Claim
from scaling.results.looks import looks
from scaling.results.records import Damaged, Results
from scaling.settings import Trial, changed
from sweeps import cli
from sweeps.adaptive.until_decided import Own, Until, asked, described, follow
from sweeps.engine import cluster
from sweeps.engine.display import Display
from sweeps.engine.ray_session import RaySession
from sweeps.launch import Resources

__all__ = ["results"]  # the fixture

WIDE, NARROW = {"network.width": 64}, {"network.width": 8}
HELPS = Claim("width helps", WIDE, NARROW, on="test")
Gains = Callable[[int, int], float]


def study(*claims: Claim, folds: Sequence[int] = (1, 2, 3, 4, 5)) -> Own:
    """Two widths on these folds."""
    base = [trial(split__fold=fold, network__width=width) for fold in folds for width in (8, 64)]

    def repeated(count: int) -> list[Trial]:
        return [changed(one, {"seed": seed}) for one in base for seed in range(count)]

    return Own("s", claims or (HELPS,), repeated)


class Launches:
    """Writes what a launch would: the wider network is better by gains(fold, seed)."""

    def __init__(self, results: Results, gains: Gains, die_at: int = 0) -> None:
        self.results, self.gains, self.die_at = results, gains, die_at
        self.ran: list[int] = []

    def __call__(self, trials: tuple[Trial, ...]) -> bool:
        left = [one for one in trials if one.id not in self.results.ended()]
        self.ran.append(len(left))
        plan(self.results, f"launch{len(trials)}", trials)
        for one in left:
            fold, seed = one.split.fold, one.seed
            wide = one.network.width == 64
            gain, other = (rule(fold, seed) * wide for rule in (self.gains, moderate))
            splits = {"test": 0.4 + fold / 50 + gain, "seen": 0.5 + gain, "validation": 0.5 + other}
            measure(self.results, one, {name: [value] for name, value in splits.items()})
            end(self.results, one)
        if len(trials) == self.die_at:
            raise KeyboardInterrupt
        return True


def clear(fold: int, seed: int) -> float:
    """A gain of 10 points, much the same on all folds."""
    return 0.1 + fold / 1000 + seed / 10_000


def moderate(fold: int, seed: int) -> float:
    """Sure enough at the last look, and not before."""
    return 0.06 + (fold - 3) / 40 + (-1) ** seed / 1000


def nothing(fold: int, seed: int) -> float:
    """As often worse as better, and no more repeats would tell."""
    return 0.1 * (-1) ** fold + seed / 10_000


def overhear_claims(where: str) -> None:
    """The command, but for its process."""
    ledger.show([where], "s", lambda name: (name, (HELPS,)), [], 0.05, "", False, False, None)


def begin(results: Results, own: Own | None = None, **options: int) -> Until:
    return asked(own or study(), results, **options)


def test_fields_are_no_claims_of_a_sweep(results: Results, capsys: pytest.CaptureFixture[str]):
    shrinks = Claim("width shrinks the field", NARROW, WIDE, on="test", metric="sigma_f")
    with pytest.raises(ValueError, match=r"shrinks the field.* of sigma_f, which no sweep"):
        asked(study(shrinks), results)
    alone, beside = asked(study(), results), asked(study(HELPS, shrinks), results)
    assert beside.course == alone.course
    assert any("not among them: claim 'width shrinks" in line for line in described(beside))
    assert follow(beside, Launches(results, clear))
    assert "1 of 1 claims decided" in capsys.readouterr().out


def test_two_sides_that_are_alike_are_decided_by_looks(
    results: Results, capsys: pytest.CaptureFixture[str]
):
    alike = Claim("as good", WIDE, NARROW, on="test", within=0.03)
    assert follow(asked(study(alike), results), Launches(results, nearly))
    (*_, last) = looks(results)
    assert (last.findings[0].verdict, last.repeats) == ("supported", 3)
    assert "as good: supported" in capsys.readouterr().out


def nearly(fold: int, seed: int) -> float:
    """A gain of a tenth of a point."""
    return 0.001 + fold / 10_000


def test_it_stops_when_all_is_decided(results: Results, capsys: pytest.CaptureFixture[str]):
    launches = Launches(results, clear)
    assert follow(begin(results), launches)
    said = capsys.readouterr().out.splitlines()
    assert launches.ran == [30]  # 3 repeats of 2 widths on 5 folds
    assert said[0] == (
        "until decided: 1 claim, at most 12 repeats, judged at 3, 5, 8 and 12 (10 trials each); "
        "false decisions at most 5 % in all"
    )
    assert re.fullmatch(
        r"look 1, 3 repeats: width helps: supported \(\+10\.3 points, \+10\.1 to \+10\.5 over 5 "
        r"folds; needs p <= \.00078, is \de-\d+\)",
        said[1],
    )
    assert said[2:] == [
        "1 of 1 claims decided, 3 of at most 12 repeats",
        f"next: overhear claims {results.where}",
    ]
    planned, look = looks(results)
    assert (planned.number, planned.repeats, planned.ended) == (0, 0, 0)
    assert (look.repeats, look.ended) == (3, 30)
    assert look.level == pytest.approx(0.05 / 64)
    assert look.course.counts == (3, 5, 8, 12)
    overhear_claims(results.where)
    assert "s runs until its claims are decided, judged at 3 of at most 12 repeats: 1 supp" in (
        " ".join(capsys.readouterr().out.split())
    )


def test_it_spends_its_budget(results: Results, capsys: pytest.CaptureFixture[str]):
    launches = Launches(results, moderate)
    assert follow(begin(results, most=8), launches)
    assert launches.ran == [30, 20, 30]
    verdicts = [look.findings[0].verdict for look in looks(results)[1:]]
    assert verdicts == ["undecided", "undecided", "supported"]
    steps = [look.level for look in looks(results)[1:]]
    assert steps == pytest.approx(levels((3, 5, 8)))
    assert "look 2, 5 repeats: width helps: undecided" in capsys.readouterr().out


def test_a_spent_budget_says_what_may_decide(results: Results, capsys: pytest.CaptureFixture[str]):
    level = Claim("width 64 hears 58 %", WIDE, {}, on="validation", at_least=0.58)
    follow(begin(results, study(level), most=3), Launches(results, moderate))
    said = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"look 1, 3 repeats: width 64 hears 58 %: undecided \(56\.\d %, 5\d\.\d to 6\d\.\d over 5 "
        r"folds; needs p <= \.05, is \.\d+\)",
        said[1],
    )
    assert said[3] == "the budget is spent; more folds, devices or recordings may decide the rest"


def test_more_repeats_that_cannot_decide_are_not_run(
    results: Results, capsys: pytest.CaptureFixture[str]
):
    launches = Launches(results, nothing)
    assert follow(begin(results), launches)
    assert launches.ran == [30]
    said = capsys.readouterr().out
    assert re.search(
        r"needs p <= \.00078, is [\d.]+; more repeats would decide it with .* 0\.\d+", said
    )
    assert looks(results)[-1].findings[0].outlook < 0.05
    assert "0 of 1 claims decided, 3 of at most 12 repeats" in said
    assert "more repeats are unlikely to decide the rest; more folds, devices" in said


def test_what_is_decided_stays_decided(results: Results, capsys: pytest.CaptureFixture[str]):
    """Its gain vanishes later, which no look asks for any more."""
    seen = Claim("width helps where it was trained", WIDE, NARROW, on="seen")

    def gains(fold: int, seed: int) -> float:
        return clear(fold, seed) if seed < 3 else -0.3

    launches = Launches(results, gains)
    unsure = Claim("width helps on other clips", WIDE, NARROW, on="validation")
    own = study(HELPS, seen, unsure)
    until = begin(results, own, most=5)
    follow(until, launches)
    first, last = looks(results)[1:]
    assert [each.verdict for each in first.findings[:2]] == ["supported"] * 2
    assert last.findings[:2] == first.findings[:2]
    assert "look 2, 5 repeats: width helps: supported at look 1" in capsys.readouterr().out


@pytest.mark.fault(
    "killed between a look's trials and the look", "the same command judges them and continues"
)
def test_it_resumes_after_a_kill(results: Results, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(KeyboardInterrupt):
        follow(begin(results, most=8), Launches(results, moderate, die_at=50))
    assert [look.number for look in looks(results)] == [0, 1]
    capsys.readouterr()
    launches = Launches(results, moderate)
    assert follow(begin(results), launches)  # the budget is that of the plan
    assert launches.ran == [0, 30]
    assert [look.repeats for look in looks(results)] == [0, 3, 5, 8]
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("look 1, 3 repeats: width helps: undecided")
    follow(begin(results), launches)  # once more: nothing is run or judged again
    assert launches.ran == [0, 30]
    assert capsys.readouterr().out.splitlines()[-1].startswith("next: overhear claims")


def test_a_look_is_at_its_own_repeats_alone(results: Results):
    """A folder with more repeats than a look is at."""
    launches = Launches(results, lambda fold, seed: clear(fold, seed) if seed < 3 else -0.5)
    launches(tuple(study().trials(5)))
    with pytest.warns(UserWarning, match="50 trials had ended before this was planned"):
        follow(begin(results), launches)
    planned, look = looks(results)
    assert planned.ended == 50
    assert look.findings[0].effect == pytest.approx(0.1031)


def test_trials_that_did_not_end_well_end_the_course(results: Results):
    assert not follow(begin(results), lambda trials: False)
    trials = study().trials(3)
    launches = Launches(results, clear)
    for one in trials[:2]:
        end(results, one, "stopped")
    with pytest.raises(ValueError, match=r"2 of 30 trials .* are not complete .* whole repeats"):
        follow(begin(results), launches)
    assert [look.number for look in looks(results)] == [0]


@pytest.mark.fault("another budget or other claims on a course", "refused, with the plan")
def test_a_plan_never_changes(results: Results):
    follow(begin(results), lambda trials: False)
    planned = "plans at most 12 repeats, judged at 3, 5, 8 and 12"
    with pytest.raises(ValueError, match=f"{planned}, and not at most 20 repeats, judged at 3"):
        begin(results, most=20)
    with pytest.raises(ValueError, match=f"{planned}, and not at most 12 repeats, judged at 4"):
        begin(results, first=4)
    harder = Claim("width helps", WIDE, NARROW, on="test", at_least=0.02)
    with pytest.raises(ValueError, match=f"{planned} of other claims: its promise holds for"):
        begin(results, study(harder))
    with pytest.raises(ValueError, match=f"{planned} of other trials"):
        begin(results, study(folds=(1, 2, 3)))
    sourced = Claim("width helps", WIDE, NARROW, on="test", published=0.05, source="a paper")
    begin(results, study(sourced), most=12)  # what decides nothing may change


def test_what_it_needs():
    none = Results("memory-of-nobody")
    with pytest.raises(ValueError, match="study s states no CLAIMS for --until-decided"):
        asked(Own("s", (), study().trials), none)
    with pytest.raises(ValueError, match="--at-most 2: the first look needs 3 repeats"):
        asked(study(), none, most=2)
    wider = Claim("width helps", {"network.width": 128}, NARROW)
    with pytest.raises(ValueError, match=r"better: no trial has network.width=128, and no repeat"):
        asked(study(wider), none)
    assert asked(study(), none, usual=5).course.counts == (5, 8, 12)
    assert asked(study(), none, first=2, most=4).course.counts == (2, 3, 4)
    assert asked(study(), none, usual=20).course.counts == (20,)


def test_the_cost_is_said_beforehand():
    lines = described(asked(study(), Results("memory-of-nobody")), 60.0)
    assert lines[1] == "a repeat takes 10 min of computing, all 12 take 2 h 0 min"


def test_the_command_refuses_what_has_no_course(tmp_path: Path):
    with pytest.raises(ValueError, match="--at-most 5 needs --until-decided"):
        cli.sweep("quickstart", at_most=5, out=str(tmp_path))
    with pytest.raises(
        ValueError, match="--until-decided needs trials that run to their end: add --stop none"
    ):
        cli.sweep("rate_esc10", until_decided=True, out=str(tmp_path), repeats=None)


@pytest.mark.fault("a look damaged, missing or of another plan", "named, with the remedy")
@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (lambda text: text.replace("supported", "undecided"), "checksum does not fit"),
        (lambda text: text[:50], "it is not JSON"),
        (lambda text: "[]", "it holds no JSON object"),
        (
            lambda text: json.dumps({**plainly(text), "overhear": 2}),
            "a newer version of Overhear wrote it",
        ),
        (lambda text: json.dumps({**plainly(text), "repeats": 4}), "it does not fit its plan"),
        (lambda text: json.dumps({**plainly(text), "number": 0}), "it does not fit its plan"),
        (lambda text: json.dumps({**plainly(text), "findings": [1]}), "cannot be read"),
        (lambda text: json.dumps({**plainly(text), "course": {}}), "cannot be read"),
    ],
)
def test_damaged_looks_are_named(results: Results, harm: Callable[[str], str], line: str):
    follow(begin(results), Launches(results, clear))
    file = Path(results.path("looks", "s-1.json"))
    file.write_text(harm(file.read_text()))
    with pytest.raises(Damaged, match=line):
        looks(results)


def plainly(text: str) -> dict[str, object]:
    """What a look holds, without its seal."""
    return {name: value for name, value in json.loads(text).items() if name != "seal"}


def test_a_missing_look_is_named(results: Results):
    follow(begin(results), Launches(results, clear))
    Path(results.path("looks", "s-0.json")).unlink()
    with pytest.raises(Damaged, match="lacks a look of study s"):
        looks(results)


def test_ray_starts_once_for_all_looks(monkeypatch: pytest.MonkeyPatch):
    told: list[str] = []

    @contextmanager
    def counted(*_: object) -> Iterator[Callable[[], None]]:
        told.append("up")
        yield lambda: told.append("there")
        told.append("down")

    monkeypatch.setattr(cluster, "session", counted)
    stream = io.StringIO()
    display = Display([], {}, Console(file=stream), plain=True)
    with ExitStack() as stack:
        session = RaySession(stack)
        assert not told, "a course that is over starts none"
        folders = {session.started(Resources(), (), display) for _ in range(2)}
        assert told == ["up", "there", "there"]
        assert [folder.is_dir() for folder in folders] == [True]
    assert told == ["up", "there", "there", "down"]
    assert stream.getvalue() == "starting Ray\n"
    assert not any(folder.exists() for folder in folders)


STUDY = """
from scaling.results.claims import Claim
from scaling.settings import Trial
from sweeps.study import product
QUESTION = "Does width help?"
SOURCE = "its own test"
CLAIMS = (
    Claim("width 8 hears more", {{"network.width": 8}}, {{"network.width": 1}}, on="seen"),
)
def trials():
    base = Trial.model_validate_json({base!r})
    yield from product(base, network__width=(8, 1), split__fold=(1, 2, 3))
"""


def test_the_real_command(trial: Trial, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Two looks of 6 trials a repeat, through Ray; then again, which runs nothing."""
    brief = changed(trial, {"sound.classes": ("meadow", "street"), "training.epochs": 2})
    path = tmp_path / "mine.py"
    path.write_text(STUDY.format(base=brief.model_dump_json()))
    out = str(tmp_path / "results")
    words = ("sweep", str(path), "--out", out, "--until-decided", "--plain", "--repeats", "1")
    words += ("--at-most", "2", "--precision", "float32", "--max-concurrent", "1")
    said = overhear(*words).stdout
    counts = [look.repeats for look in looks(Results(out))]
    assert counts in ([0, 1], [0, 1, 2])  # as soon as more repeats cannot decide it
    assert "6 of 6 trials complete" in said
    assert f"look {len(counts) - 1}, {counts[-1]} repeat" in said
    assert "next: overhear claims" in said
    assert "next: overhear analyze" not in said
    again = CliRunner().invoke(app, words, catch_exceptions=False).stdout
    assert "look 1, 1 repeat: width 8 hears more: " in again
    assert "trials complete" not in again
    options = {"out": out, "until_decided": True, "repeats": 1, "at_most": 2}
    cli.sweep(str(path), **options, dry_run=True, speed=1.0)  # type: ignore[arg-type]
    planned = capsys.readouterr().out
    assert "at most 2 repeats, judged at 1 and 2 (6 trials each)" in planned
    assert "a repeat takes " in planned or counts[-1] == 2
