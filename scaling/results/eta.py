"""ETA: how long trials still take, from how long their epochs took so far. No torch.

The display of a sweep and `overhear status` share it. A cost not yet measured is what a forecast
says of it, times how far the forecast was off so far; without one an epoch's time is taken to grow
with its multiply-adds of training (see scaling.results.manifest), from the nearest measured cost.
Seconds come from monotonic clocks, or from records of them. Contents: Standing and Left with
`left`, `planned_epochs`, `duration`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from scaling.objectives import OBJECTIVES


class Standing(NamedTuple):
    """Where one trial stands."""

    cost: float  # multiply-adds of training an epoch
    epochs: int  # planned
    done: int  # epochs trained
    ended: bool = False  # for good
    early: bool = False  # may end before its planned epochs, on purpose
    seconds: float = 0.0  # that `timed` of its epochs took
    timed: int = 0
    predicted: float = math.nan  # seconds per epoch, by a forecast; nan: none


class Left(NamedTuple):
    """What remains of many trials."""

    seconds: float
    at_most: bool  # some may end early, and none like them has yet

    def __str__(self) -> str:
        return f"{'at most' if self.at_most else 'about'} {duration(self.seconds)}"


def left(standings: Iterable[Standing], slots: int) -> Left | None:
    """What remains, so many trials at once; no less than the longest of them takes. None where
    neither an epoch was timed nor a forecast is known of each.
    """
    standings = list(standings)
    rates, off = _rates(standings), _off(standings)
    taken: dict[tuple[float, int], list[int]] = {}  # epochs, by what trials end early alike
    for each in standings:
        if each.early and each.ended:
            taken.setdefault((each.cost, each.epochs), []).append(each.done)
    total, longest, at_most = 0.0, 0.0, False
    for each in standings:
        if not each.ended:
            like = taken.get((each.cost, each.epochs)) if each.early else None
            epochs = each.epochs - each.done if like is None else _more(each.done, like)
            forecast = off * each.predicted
            if rates and (each.cost in rates or math.isnan(forecast)):
                forecast = _scaled(each.cost, rates)
            seconds = epochs * forecast
            total, longest = total + seconds, max(longest, seconds)
            at_most |= each.early and like is None
    seconds = max(total / max(1, slots), longest)
    return None if math.isnan(total) else Left(seconds, at_most)


def planned_epochs(kind: str, epochs: int) -> int:
    """How many epochs a trial of this objective has: nearest neighbours train nothing, and end
    after one.
    """
    return epochs if kind not in OBJECTIVES or OBJECTIVES[kind].trains else 1


def duration(seconds: float) -> str:
    """Seconds as a person would say them: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60:,} h {minutes % 60} min"


def _rates(standings: Sequence[Standing]) -> dict[float, float]:
    """Mean seconds of an epoch, by its cost."""
    sums: dict[float, tuple[float, int]] = {}
    for each in standings:
        if each.timed:
            seconds, timed = sums.get(each.cost, (0.0, 0))
            sums[each.cost] = seconds + each.seconds, timed + each.timed
    return {cost: seconds / timed for cost, (seconds, timed) in sums.items()}


def _off(standings: Sequence[Standing]) -> float:
    """Seconds that timed epochs took over those that a forecast gave them; 1 before any."""
    known = [each for each in standings if each.timed and each.predicted > 0]
    forecast = sum(each.timed * each.predicted for each in known)
    return sum(each.seconds for each in known) / forecast if known else 1.0


def _scaled(cost: float, rates: Mapping[float, float]) -> float:
    """Seconds of an epoch of this cost. What costs nothing, as MFCC do, has no ratio to others."""
    if cost in rates or cost <= 0:
        return rates.get(cost, 0.0)
    known = [other for other in rates if other > 0]
    if not known:
        return max(rates.values())
    nearest = min(known, key=lambda other: abs(math.log(other / cost)))
    return rates[nearest] * cost / nearest


def _more(done: int, taken: Sequence[int]) -> float:
    """Epochs that those of its kind that came further went on from here, on average."""
    further = [epochs - done for epochs in taken if epochs > done]
    return sum(further) / len(further) if further else 0.0
