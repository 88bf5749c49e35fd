"""Public weights of EfficientAT's `mn` networks into ours.

Layout: the state dicts of its releases (fschmid56/EfficientAT, models/mn): convolution and
normalization are `.0` and `.1` of a part, parts of a block `block.0`, `block.1`, ... in the order
of the forward pass, squeeze-and-excitation `conc_se_layers.0.fc1` and `.fc2`, as all released
weights have it: of channels alone. Kernels are (outputs, inputs, mel bands, frames), as ours.
Contents: `load`, `layout`.
"""

from pathlib import Path

from torch import nn

from scaling.networks.modules import public_file
from scaling.networks.modules.mn import MNModule
from scaling.networks.modules.public_file import FileLayout

CONVOLVED = {  # of a part of theirs, beside the convolution's weight
    f"1.{name}": f"_norm.{name}"
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
}


def load(model: nn.Module, path: Path, needed: str) -> None:
    """Replace the weights of an `mn`. Raises as public_file.load does."""
    assert isinstance(model, MNModule)
    public_file.load(model, path, layout(model), needed)


def layout(model: MNModule) -> FileLayout:
    """How public files name the tensors of this network."""
    parts = {"features.0": "stem", f"features.{len(model.names) + 1}": "top"}
    dense = {"classifier.2": "hidden"}
    for number, name in enumerate(model.names, start=1):
        block = model.get_submodule(name)
        within = ["depthwise", "project"]
        if getattr(block, "expands"):  # noqa: B009  its type is not declared
            within.insert(0, "expand")
        if getattr(block, "squeezes"):  # noqa: B009
            within.insert(-1, "squeeze")
        for place, part in enumerate(within):
            at = f"features.{number}.block.{place}"
            if part == "squeeze":
                weighing = {"fc1": "squeeze", "fc2": "excite"}
                dense |= {f"{at}.conc_se_layers.0.{a}": f"{name}.{b}" for a, b in weighing.items()}
            else:
                parts[at] = f"{name}.{part}"
    names = {f"{theirs}.0.weight": f"{ours}.weight" for theirs, ours in parts.items()}
    for theirs, ours in parts.items():
        names |= {f"{theirs}.{a}": f"{ours}{b}" for a, b in CONVOLVED.items()}
    for theirs, ours in dense.items():
        names |= {f"{theirs}.{kind}": f"{ours}.{kind}" for kind in ("weight", "bias")}
    return FileLayout(names, ("classifier.5.",))
