"""PaSST built: patches with positions of bands and frames, blocks of attention, two tokens."""

# B clips, E units of a token, F rows of a map (mel bands at the input), N columns (frames), P
# patches and two tokens, H heads, D units of each, Y classes

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional

from scaling.networks.cost import Layer, Sides
from scaling.networks.modules.chain import convolution
from scaling.networks.modules.kernels import Convolution, Dense
from scaling.networks.modules.output import Output
from scaling.networks.modules.stochastic import Stochastic

EPSILON = 1e-6  # of normalization within blocks; before the classifier torch's own
DEVIATION = 0.02  # of first weights, which are at most two of it


class Positions(Stochastic):
    """Adds to each patch what its band and its frame have learned. In training a shorter clip
    begins at any frame, and patchout leaves rows and columns out; both are drawn once a step.
    """

    def __init__(self, width: int, places: Sides, patchout: Sides) -> None:
        super().__init__()
        rows, columns = places
        self.bands_1EF1 = nn.Parameter(torch.zeros(1, width, rows, 1))
        self.frames_1E1N = nn.Parameter(torch.zeros(1, width, 1, columns))
        self.patchout = patchout

    def forward(self, map_BEFN: Tensor) -> Tensor:
        columns, spare = map_BEFN.shape[3], self.frames_1E1N.shape[3] - map_BEFN.shape[3]
        at = 0
        if self.training and spare:
            at = int(self.draw(torch.rand, (1,)) * (spare + 1))
        map_BEFN = map_BEFN + self.frames_1E1N[..., at : at + columns] + self.bands_1EF1
        for axis, left in zip((2, 3), self.patchout, strict=True):
            if self.training and left:
                order = self.draw(torch.rand, (map_BEFN.shape[axis],)).argsort()
                kept = order[left:].sort().values.to(map_BEFN.device)
                map_BEFN = map_BEFN.index_select(axis, kept)
        return map_BEFN


class Tokens(nn.Module):
    """Puts the clip's token and the distilled one before the patches."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.clip_11E = nn.Parameter(torch.zeros(1, 1, width))
        self.distilled_11E = nn.Parameter(torch.zeros(1, 1, width))
        self.positions_12E = nn.Parameter(torch.zeros(1, 2, width))

    def forward(self, patches_BPE: Tensor) -> Tensor:
        tokens_12E = torch.cat([self.clip_11E, self.distilled_11E], dim=1) + self.positions_12E
        tokens_B2E = tokens_12E.expand(patches_BPE.shape[0], -1, -1).to(patches_BPE.dtype)
        return torch.cat([tokens_B2E, patches_BPE], dim=1)


class AttentionBlock(nn.Module):
    """Tokens plus what each reads of all, then plus what two dense layers make of it."""

    read: Dense
    mix: Dense
    expand: Dense
    shrink: Dense

    def __init__(self, layers: Sequence[Layer], heads: int) -> None:
        super().__init__()
        for layer in layers:
            self.add_module(layer.name.rpartition(".")[2], Dense(layer.inputs, layer.outputs))
        width = layers[0].inputs
        self.read_norm = nn.LayerNorm(width, EPSILON)
        self.expand_norm = nn.LayerNorm(width, EPSILON)
        self.heads = heads

    def forward(self, x_BPE: Tensor) -> Tensor:
        read = self.read(self.read_norm(x_BPE)).unflatten(2, (3, self.heads, -1))
        queries_BHPD, keys_BHPD, values_BHPD = read.permute(2, 0, 3, 1, 4)
        found_BHPD = functional.scaled_dot_product_attention(queries_BHPD, keys_BHPD, values_BHPD)
        x_BPE = x_BPE + self.mix(found_BHPD.transpose(1, 2).flatten(2))
        made_BPE: Tensor = self.shrink(functional.gelu(self.expand(self.expand_norm(x_BPE))))
        return x_BPE + made_BPE


class PaSSTModule(nn.Module):
    """Features (B, channels, F, N) to an embedding (B, E), and from it to logits (B, Y).

    The last map is that of the patches; the embedding is the mean of the two tokens.
    """

    patches: Convolution

    def __init__(self, layers: Sequence[Layer], places: Sides, patchout: Sides, heads: int) -> None:
        super().__init__()
        patches, *within, last = layers
        width = last.inputs
        self.patches = convolution(patches, 0.0)
        self.positions = Positions(width, places, patchout)
        self.tokens = Tokens(width)
        self.names: list[str] = []
        for name, each in groupby(within, lambda layer: layer.name.partition(".")[0]):
            self.names.append(name)
            self.add_module(name, AttentionBlock([*each], heads))
        self.norm = nn.LayerNorm(width, EPSILON)
        self.answer_norm = nn.LayerNorm(width)
        self.classifier = Dense(width, last.outputs)

    def forward(self, x_BCFN: Tensor) -> Output:
        map_BEFN = self.positions(self.patches(x_BCFN))
        x_BPE = self.tokens(map_BEFN.flatten(2).transpose(1, 2))
        for name in self.names:
            x_BPE = getattr(self, name)(x_BPE)
        x_BPE = self.norm(x_BPE)
        embedding_BE = x_BPE[:, :2].mean(dim=1)
        last_BEFN = x_BPE[:, 2:].transpose(1, 2).unflatten(2, map_BEFN.shape[2:])
        return Output(self.answer(embedding_BE), last_BEFN, embedding_BE=embedding_BE)

    def answer(self, embedding_BE: Tensor) -> Tensor:
        """Logits (B, Y), from embeddings."""
        logits_BY: Tensor = self.classifier(self.answer_norm(embedding_BE))
        return logits_BY


@torch.no_grad()
def initialize(network: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights, positions and tokens, as the public code does: normal, cut off at two
    deviations of 0.02; those of patches uniform within 1 / sqrt(fan-in), as torch's own. Biases are
    zero.
    """
    for name, each in network.named_parameters():
        if each.ndim == 1:
            if name.endswith("bias"):
                each.zero_()
        elif name == "patches.weight":
            bound = each[0].numel() ** -0.5
            each.uniform_(-bound, bound, generator=generator)
        else:
            nn.init.trunc_normal_(each, 0, DEVIATION, -2 * DEVIATION, 2 * DEVIATION, generator)
