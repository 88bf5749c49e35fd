"""Maps of effective receptive fields (ERF), side by side: what each model looks at, and how far.

Source: figures 7 to 16 of the over-parameterization paper (Koutini et al. 2021), which state
neither scale nor reduction; ours: facts, cp_resnet, section 7.
Contents: EffectiveField, LOG, LINEAR, SCALED.
"""

from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from analysis.aggregate import DIMENSIONS, SPLITS
from analysis.data import Data
from analysis.figures.field_drawing import Scale, draw
from analysis.figures.field_panels import cropped, means, panels
from analysis.figures.layout import PLAIN, Style
from analysis.listing import Listing, about_columns, numbers, who
from analysis.squares import SHARES

DEVIATIONS = ("sigma_f", "sigma_t")


class EffectiveField(NamedTuple):
    """The figure of the maps on one colour scale."""

    scale: Scale
    kind: str = "feature"  # what was differentiated
    split: str = ""  # whose clips; the last of SPLITS' held-out ones with maps, unless given
    scaled: bool = False  # Figure 7: all are cropped to the smallest maximum field

    def obstacle(self, data: Data) -> str | None:
        """Why there is nothing to draw: no map was computed."""
        if not self._split(data.maps()):
            return f"no map of {self.kind} was computed: run `overhear erf` on these results"
        mapped = data.manifest[data.manifest["trial"].isin(data.maps()["trial"])]
        if self.scaled and mapped["receptive_field"].nunique() < 2:
            return "these maps have one maximum field: none is larger than the smallest"
        return None

    def points(self, data: Data) -> pd.DataFrame:
        """One row per model, as `means` gives them."""
        maps = data.maps()
        return means(maps, data.manifest, self.kind, self.split or self._split(maps))

    def draw(self, points: pd.DataFrame, style: Style = PLAIN) -> Figure:
        """A panel per model."""
        made = panels(points)
        return draw(cropped(made) if self.scaled else made, self.scale, style)

    def listing(self, name: str, points: pd.DataFrame) -> Listing:
        """The numbers of each model."""
        about = f"{points['kind'].iloc[0]}, {points['split'].iloc[0]} clips"
        return _listing(f"{name} ({about})", points)

    def _split(self, maps: pd.DataFrame) -> str:
        """The split whose maps are drawn; "" where there are none."""
        known = set(maps.loc[maps["kind"] == self.kind, "split"])
        if self.split:
            return self.split if self.split in known else ""
        preferred = [split for split in ("unseen", "test", *SPLITS) if split in known]
        return (preferred or sorted(known) or [""])[0]


def _listing(title: str, fields: pd.DataFrame) -> Listing:
    """ERF numbers, in bands and frames, a row per model: deviations, the squares that hold shares
    of the mass (side, and percent of the input's area), the maximum field, and the others.
    """
    values = [numbers(name, [f"{value:.1f}" for value in fields[name]]) for name in DEVIATIONS]
    for share in SHARES:
        held = zip(fields[f"side{share}"], fields[f"area{share}"], strict=True)
        cells = [f"{side:.0f}, {100 * area:.2g}" for side, area in held]
        values.append(numbers(f"{share} % in side, area %", cells))
    reaches = ["-" if pd.isna(side) else f"{side:.0f}" for side in fields["receptive_field"]]
    values.append(numbers("at most", reaches))
    values.append(numbers("n", [str(n) for n in fields["n"]]))
    for name in ("f50", "t50", "f95", "t95", "luo_side", "participation"):
        values.append(numbers(name, [f"{value:,.1f}" for value in fields[name]], optional=True))
    columns = ("family", *DIMENSIONS)
    ordered = fields.assign(area=fields["f95"] * fields["t95"]).sort_values("area")
    said = [
        (who(fields, columns, place), f"{row['f95']:,.0f} bands x {row['t95']:,.0f} frames")
        for place, row in ordered.iloc[[-1, 0]].iterrows()
    ]
    result = f"95 % of the field spans {said[0][1]}"
    if len(fields) > 1:
        (widest, most), (narrowest, least) = said
        result = f"95 % of the field spans most in {widest}, {most}; least in {narrowest}, {least}"
    return Listing(title, result, about_columns(fields, columns), tuple(values))


LOG, LINEAR = EffectiveField("log"), EffectiveField("linear")
SCALED = EffectiveField("log", scaled=True)
