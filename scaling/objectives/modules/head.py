"""Head: a network with something after it, whose layers keep the names they have without it."""

from torch import nn

from scaling.networks.modules.stochastic import Stochastic


class Head(Stochastic):
    """Adopts the modules of `base`, which it calls; adds its own."""

    base: nn.Module

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        assert not base._parameters, "a network's weights belong to its layers"
        assert not base._buffers, "a network's buffers belong to its layers"
        for name, module in base.named_modules():
            if isinstance(module, Stochastic):
                # draws are named as if it stood within: so they were when trials were first run
                module.stream = f"base.{name if module.stream is None else module.stream}"
        for name, module in base.named_children():
            self.add_module(name, module)
        object.__setattr__(self, "base", base)  # no module of its own: its layers are known
