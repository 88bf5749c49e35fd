"""A front end of a person's own, by the name `module:Class`: a torch module that learns nothing.

It maps waves (B, T) at `rate` Hz to features (B, mels, 1 + T // hop), float32, and is given by
keyword whatever it takes of `rate`, `mels`, `hop`, `window`, `low`, `high` and its own options.
"""

# B clips, T samples, F bands, N frames

from typing import Any

import torch
from torch import Tensor, nn

from scaling.own import options, parts
from scaling.own.names import FRONTEND
from scaling.settings import Features

GIVEN = ("mels", "hop", *FRONTEND.given)


class OwnFrontend(nn.Module):
    """Waves to features, whose shape is checked."""

    def __init__(self, features: Features, net: Any) -> None:
        super().__init__()
        self.features, self.net = features, net

    def forward(self, waves_BT: Tensor) -> Tensor:
        """Raises ValueError for features of another shape or type."""
        found: Any = self.net(waves_BT)
        features = self.features
        wanted = (len(waves_BT), features.mels, 1 + waves_BT.shape[1] // features.hop)
        if isinstance(found, Tensor) and found.dtype == torch.float32:
            if tuple(found.shape) == wanted:
                return found
            what = str(tuple(found.shape))
        else:
            what = str(found.dtype if isinstance(found, Tensor) else type(found).__name__)
        raise ValueError(
            f"{FRONTEND.field}={features.kind} makes {what} of waves {tuple(waves_BT.shape)}: it "
            f"must make float32 {wanted}: clips, sound.features.mels, 1 + samples // hop"
        )


def build(features: Features, rate: int) -> OwnFrontend:
    """The front end, in evaluation mode; torch's own generator has one seed as it is constructed.
    Raises ValueError in one line.
    """
    thing = parts.loaded(features.kind, features.source, FRONTEND)
    own = options.values(thing, features.options, FRONTEND.prefix)
    given = {"rate": rate, **{name: getattr(features, name) for name in GIVEN}}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = options.called(f"{FRONTEND.field}={features.kind}", thing, given, own)
    if not isinstance(made, nn.Module):
        raise ValueError(
            f"{FRONTEND.field}={features.kind} makes a {type(made).__name__}: it must be a "
            "torch.nn.Module"
        )
    return OwnFrontend(features, made.eval().requires_grad_(False))
