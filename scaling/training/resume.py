"""Resume: a checkpoint's state put back into a network and its optimizer."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from scaling.networks.modules.state import Misfit, check_alike

# Of an optimizer's settings: set in every step, or a way to compute the same.
_OF_NO_ACCOUNT = {"lr", "fused", "foreach", "capturable", "differentiable"}
_MOMENTS = {"step", "exp_avg", "exp_avg_sq"}  # of Adam


def take_up(state: Mapping[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put a loaded state into a network and its optimizer, as they were made for the trial.

    Raises Misfit where names, shapes, types or the optimizer's settings are not theirs.
    """
    check_alike("the network", state["model"], model.state_dict())
    own = optimizer.state_dict()
    theirs = state["optimizer"]
    try:
        for group, other in zip(own["param_groups"], theirs["param_groups"], strict=True):
            named = (group.keys() & other.keys()) - _OF_NO_ACCOUNT
            if "params" not in named or any(group[name] != other[name] for name in named):
                raise Misfit("its optimizer has other settings")
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        if not set(theirs["state"]) <= set(range(len(weights))):
            raise Misfit("its optimizer is of another network")
        adam = not isinstance(optimizer, torch.optim.SGD)
        for index, moments in theirs["state"].items():
            if adam and not moments.keys() >= _MOMENTS:
                raise Misfit("its optimizer lacks moments")
            for value in moments.values():
                single = isinstance(value, Tensor) and value.numel() == 1
                if isinstance(value, Tensor) and not single and value.shape != weights[index].shape:
                    raise Misfit("its optimizer is of another network")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(theirs)
    except Misfit:
        raise
    except Exception as error:  # noqa: BLE001
        # torch walks through whatever it is given
        raise Misfit(f"its optimizer is none: {type(error).__name__}") from None
