"""Claims in series: one claim of base and of damped networks, or at each value of a setting.

Contents: `base_and_damped`, `at_each`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from scaling.results.claims import Claim
from scaling.settings.recipes import DAMPED


def base_and_damped(*claims: Claim) -> Iterator[Claim]:
    """Each claim of base networks, then each of damped ones."""
    yield from at_each(claims, "network.damping", {"base": 0.0, "damped": DAMPED})


def at_each(
    claims: Iterable[Claim], setting: str, values: Iterable[Any], said: str = "{}"
) -> Iterator[Claim]:
    """Each claim where both sides have each value of a setting; its text ends in the value, `said`
    so. A mapping gives values with what they are called.
    """
    claims = [*claims]
    named = values if isinstance(values, dict) else {said.format(value): value for value in values}
    for name, value in named.items():
        for claim in claims:
            where = {**claim.where, setting: value}
            yield replace(claim, text=f"{claim.text}, {name}", where=where)
