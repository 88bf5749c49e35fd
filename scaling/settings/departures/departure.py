"""Departure: one thing that is not as a paper has it, or that the paper does not say; and Paper."""

from collections.abc import Mapping
from typing import NamedTuple

SILENT = "silent"
CODE = "the authors' public code"
RECORDINGS = "real recordings, few enough for two cores"
MINUTES = "so that a trial takes minutes on two cores"


class Departure(NamedTuple):
    """One thing that is not as the paper has it, or that it does not say."""

    what: str  # a dotted setting; or in words
    paper: str  # what the paper says
    why: str
    here: str = ""  # what is done here; "": the setting's value in the recipe
    arm: str = ""  # the study that also does it as the paper has it, or may have it


class Paper(NamedTuple):
    """A paper with the recipes that follow it."""

    title: str
    recipe: str  # at its scale
    small: str  # at CPU scale
    departures: tuple[Departure, ...]
    smaller: Mapping[str, str]  # setting that `small` changes -> why
