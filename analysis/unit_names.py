"""Names of the units of intervals, for options; analysis.units, which is heavy, computes."""

UNITS = ("folds", "repeats", "devices", "clips")
