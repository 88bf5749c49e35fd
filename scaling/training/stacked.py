"""Side by side: trials of one shape train as one stacked network, each with its own records.

A trial cannot tell with whom it trains: to rounding, its epochs are those of scaling.training.loop.
Whatever one trial raises ends that one alone. Contents: `run`, `alike`.
"""

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

from torch import Tensor

from scaling.machine import lost, short
from scaling.training.epoch import Epoch
from scaling.training.evaluation import Scoring
from scaling.training.rows import detached, layout, statistics
from scaling.training.session import Session
from scaling.training.shape import shape
from scaling.training.stack import Stack
from scaling.training.steps import Step
from scaling.training.sums import Sums


def alike(session: Session) -> Hashable:
    """What the sessions of one stack have in common."""
    parameters = [[(name, each.shape) for name, each in group] for group in layout(session)]
    held = [(name, each.shape) for name, each in statistics(session).items()]
    return (
        shape(session.trial, len(session.train)),
        str(parameters),
        str(held),
    )


def run(sessions: dict[str, Session]) -> Iterator[dict[str, Epoch | Exception]]:
    """Train sessions that are `alike`, by name, side by side; yields, epoch by epoch, what each of
    them left behind, or what it raised, which is its end.

    Whoever is taken out of `sessions` meanwhile trains no more; those that end are. Their networks
    are views of a stack: an Epoch's state is its own. Raises what no trial alone is to blame for,
    as torch.OutOfMemoryError, on a GPU before the first epoch where a dry step can tell.
    """
    stack: Stack | None = None
    while sessions:
        begun, share, errors = perf_counter(), 1 / len(sessions), dict[int, Exception]()
        names = [*sessions]
        for index, session in enumerate(sessions.values()):
            with _kept(errors, index):
                session.begin()
        for index in errors:
            del sessions[names[index]]
        if errors:
            yield {names[index]: error for index, error in errors.items()}
        if not sessions:
            return
        names, running = [*sessions], [*sessions.values()]
        if stack is None or stack.sessions != running:
            if stack is not None:  # and the memory of its graphs
                stack.forget()
            fits = stack is not None  # and more of them did
            stack = Stack(running)
            if not fits and stack.machine.checks_memory:
                stack.dry_step()
        trained = _trained(stack)
        scorings = {
            index: running[index].end(each, begun, share)
            for index, each in enumerate(trained)
            if not isinstance(each, Exception)
        }
        scored = _scored(stack, scorings)
        left: dict[str, Epoch | Exception] = {}
        for index, (name, failure) in enumerate(zip(names, trained, strict=True)):
            epoch = failure if isinstance(failure, Exception) else scored[index]
            if isinstance(epoch, Exception) or epoch.last:
                del sessions[name]
            if isinstance(epoch, Epoch):
                epoch = epoch._replace(state=detached(epoch.state))
            left[name] = epoch
        yield left
    if stack is not None:
        stack.forget()


def _trained(stack: Stack) -> list[Mapping[str, float] | Exception]:
    """What an epoch's training measured of each trial, or what it raised. One that raises on the
    way trains on, on another's clips, until the epoch ends, to no effect.
    """
    errors: dict[int, Exception] = {}
    stack.refresh()
    replay = stack.replay
    sums = replay.epoch() if replay and not replay.broken else None
    if sums is None:
        sums = _stepped(stack, errors)
    found: dict[int, Mapping[str, float]] = {}
    for which, terms in sums.items():
        values = {name: value_S.tolist() for name, value_S in terms.values.items()}
        for place, index in enumerate(which):
            if index not in errors:
                own = {name: value_S[place] for name, value_S in values.items()}
                with _kept(errors, index):
                    found[index] = stack.sessions[index].trained(own, terms.minimized)
    every = range(len(stack.sessions))
    return [errors[index] if index in errors else found[index] for index in every]


def _stepped(stack: Stack, errors: dict[int, Exception]) -> Sums:
    """An epoch step by step; what a trial raised goes to the errors."""
    sums: Sums = {}
    steps = [session.steps() for session in stack.sessions]
    for _ in range(stack.sessions[0].count):
        made: dict[int, Step] = {}
        for index, each in enumerate(steps):
            if index not in errors:
                with _kept(errors, index):
                    made[index] = next(each)
        if not made:
            break
        other = next(iter(made.values()))
        stack.update([made.get(index, other) for index in range(len(steps))], sums)
    return sums


def _scored(stack: Stack, scorings: Mapping[int, Scoring[Epoch]]) -> dict[int, Epoch | Exception]:
    """What the scorings of trials, by their place in the stack, return or raise: each is asked for
    features in turn, and all that it asks are answered at once.
    """
    found: dict[int, Epoch] = {}
    errors: dict[int, Exception] = {}
    answers: dict[int, Tensor] = {}
    while len(found) + len(errors) < len(scorings):
        parts: dict[int, Tensor] = {}
        for index in scorings.keys() - found.keys() - errors.keys():
            with _kept(errors, index):
                try:
                    parts[index] = scorings[index].send(answers.get(index))  # type: ignore[arg-type]
                except StopIteration as end:
                    found[index] = end.value
        answers = stack.answer(parts) if parts else {}
    return found | errors


@contextmanager
def _kept(errors: dict[int, Exception], index: int) -> Iterator[None]:
    """Keep what a trial raises, which is its own end, whatever it is, but for memory and a GPU that
    it shares with others.
    """
    try:
        yield
    except Exception as error:
        if short(error) or lost(error):
            raise
        errors[index] = error
