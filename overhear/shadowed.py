"""Shadowed: a file of a person's that Python would import in the place of one of our packages."""

import sys
from importlib.util import find_spec
from pathlib import Path


def check_packages() -> None:
    """End with a line where Python would import another file in the place of one of our packages,
    whose names are common ones.
    """
    for name in ("analysis", "scaling", "sweeps"):
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            continue
        found = Path(spec.origin)
        ours = Path(__file__).resolve().parents[1] / name
        if found.resolve().parent != ours:
            print(
                f"overhear: {found} hides Overhear's own package {name}: rename that file, or take "
                "its folder out of PYTHONPATH",
                file=sys.stderr,
            )
            sys.exit(2)
