"""Horizontal axes with at least two labels where there are two values, and none that touch.

Conventions: an Axis takes a panel and all values drawn in the figure, ascending.
Contents: Axis, parameters, milliseconds, logarithmic, from_zero, hertz_text, counts.
"""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import (
    EngFormatter,
    FixedLocator,
    Formatter,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

Axis = Callable[[Axes, np.ndarray], None]
LABEL = 0.03  # of an axis: what a letter of a label takes, and a gap of one
ROOMY = 2.2  # inches of page for a panel that has room for five labels of large numbers
BREAK = 0.8  # decades: how far 0 stands from the smallest other value


def parameters(panel: Axes, values: np.ndarray) -> None:
    """A logarithmic axis of large numbers: 10k, 30k, 100k."""
    _powers(panel, values, EngFormatter(sep=""))


def milliseconds(panel: Axes, values: np.ndarray) -> None:
    """A logarithmic axis of milliseconds: 0.3, 1, 3."""
    _powers(panel, values, FuncFormatter(_figures))


def _powers(panel: Axes, values: np.ndarray, formatter: Formatter) -> None:
    smallest, largest = values[0], values[-1]
    padding = max((largest / smallest) ** 0.08, 1.3)
    left, right = smallest / padding, largest * padding
    panel.set_xscale("log")
    panel.set_xlim(left, right)
    decades = np.log10(right / left)
    if decades < 1.2:
        panel.xaxis.set_major_locator(MaxNLocator(_bins(panel), steps=[1, 2, 5, 10]))
        panel.xaxis.set_minor_locator(NullLocator())
    else:
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 3) if decades < 2.2 else (1,)))
    panel.xaxis.set_major_formatter(formatter)
    panel.xaxis.set_minor_formatter(NullFormatter())


def _bins(panel: Axes) -> int:
    """How many intervals between labels such as 250k have room in a panel."""
    spec = panel.get_subplotspec()
    columns = spec.get_gridspec().ncols if spec else 1
    figure = panel.get_figure(root=True)
    assert figure is not None
    return 5 if figure.get_figwidth() / columns >= ROOMY else 3


def logarithmic(panel: Axes, values: np.ndarray) -> None:
    """A logarithmic axis that is labelled at the values drawn."""
    padding = max((values[-1] / values[0]) ** 0.08, 1.1)
    panel.set_xscale("log")
    panel.set_xlim(values[0] / padding, values[-1] * padding)
    _label(panel, values, np.log(values))


def from_zero(panel: Axes, values: np.ndarray) -> None:
    """A logarithmic axis that is labelled at the values drawn; 0 stands left, behind a break."""
    above = values[values > 0]
    if above.size == values.size or not above.size:
        (logarithmic if above.size else counts)(panel, values)
        return
    padding = max((above[-1] / above[0]) ** 0.08, 1.3)
    panel.set_xscale("symlog", linthresh=above[0], linscale=BREAK)
    panel.set_xlim(-above[0] / 2, above[-1] * padding)
    decades = np.log10(above)
    _label(panel, values, np.array([decades[0] - BREAK, *decades]))
    panel.text(
        above[0] / 2,
        0,
        "//",
        transform=panel.get_xaxis_transform(),
        ha="center",
        va="center",
        fontweight="bold",
    )


def hertz_text(hz: float, _: int | None = None) -> str:
    """A frequency on an axis: 500, 2k."""
    return f"{hz:g}" if hz < 1000 else f"{hz / 1000:g}k"


def counts(panel: Axes, values: np.ndarray) -> None:
    """A linear axis of small whole numbers that is labelled at the values drawn."""
    padding = max(0.08 * (values[-1] - values[0]), 0.3)
    panel.set_xlim(values[0] - padding, values[-1] + padding)
    _label(panel, values, values)


def _label(panel: Axes, values: np.ndarray, places: np.ndarray) -> None:
    """Ticks at all values; labels from the largest down at those with room for one."""
    letter = LABEL * (places[-1] - places[0])
    labelled: list[int] = []
    for k in reversed(range(len(values))):
        room = letter * max(3, len(_figures(values[k])))
        if not labelled or places[labelled[-1]] - places[k] >= room:
            labelled.append(k)
    panel.xaxis.set_major_locator(FixedLocator(values[sorted(labelled)].tolist()))
    panel.xaxis.set_major_formatter(FuncFormatter(_figures))
    panel.xaxis.set_minor_locator(FixedLocator(values.tolist()))
    panel.xaxis.set_minor_formatter(NullFormatter())


def _figures(value: float, _: int | None = None) -> str:
    """A number as short as it goes: 512, 0.01, 1e-4."""
    exponent = int(np.floor(np.log10(value))) if value > 0 else 0
    return f"{value / 10.0**exponent:.3g}e{exponent}" if exponent < -2 else f"{value:g}"
