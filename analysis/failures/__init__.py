"""Where models fail: by device, by class, by both, which classes, how sure, and on which clips.

Tables from the records, each with the unit and the n of its intervals; no drawing.
"""

from analysis.failures.classes import by_class, by_device_and_class
from analysis.failures.confusions import confusion
from analysis.failures.devices import by_device
from analysis.failures.hardest_clips import hardest
from analysis.failures.reliability import calibration

__all__ = ["by_class", "by_device", "by_device_and_class", "calibration", "confusion", "hardest"]
