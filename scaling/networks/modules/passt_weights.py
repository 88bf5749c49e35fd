"""Public weights of PaSST into ours.

Layout: the state dicts of its releases (kkoutini/PaSST, models/passt.py): `patch_embed.proj`,
`cls_token`, `dist_token`, `new_pos_embed`, `freq_new_pos_embed`, `time_new_pos_embed`, blocks as
timm has them, `norm`, and the classifiers `head.0` (its normalization), `head.1` and `head_dist`.
Kernels are (outputs, inputs, mel bands, frames), as ours. Contents: `load`, `layout`.
"""

from pathlib import Path

from torch import nn

from scaling.networks.modules import public_file
from scaling.networks.modules.passt import PaSSTModule
from scaling.networks.modules.public_file import FileLayout

ALONE = {
    "cls_token": "tokens.clip_11E",
    "dist_token": "tokens.distilled_11E",
    "new_pos_embed": "tokens.positions_12E",
    "freq_new_pos_embed": "positions.bands_1EF1",
    "time_new_pos_embed": "positions.frames_1E1N",
}
PARTS = {"patch_embed.proj": "patches", "norm": "norm", "head.0": "answer_norm"}
WITHIN = {
    "norm1": "read_norm",
    "attn.qkv": "read",
    "attn.proj": "mix",
    "norm2": "expand_norm",
    "mlp.fc1": "expand",
    "mlp.fc2": "shrink",
}


def load(model: nn.Module, path: Path, needed: str) -> None:
    """Replace the weights of a PaSST. Raises as public_file.load does."""
    assert isinstance(model, PaSSTModule)
    public_file.load(model, path, layout(model), needed)


def layout(model: PaSSTModule) -> FileLayout:
    """How public files name the tensors of this network."""
    parts = dict(PARTS)
    for number, name in enumerate(model.names):
        parts |= {f"blocks.{number}.{a}": f"{name}.{b}" for a, b in WITHIN.items()}
    both = {f"{a}.{k}": f"{b}.{k}" for a, b in parts.items() for k in ("weight", "bias")}
    return FileLayout(ALONE | both, ("head.1.", "head_dist."))
