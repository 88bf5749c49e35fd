"""Networks: what can be trained, one file each, by the `kind` of its settings. No torch.

A new network is a file with one subclass of Network, or of Chain where its layers follow each other
without branches, and its name here.
"""

from scaling.networks.network import Network
from scaling.part import kinds

__all__ = ["NETWORKS", "Network"]

NETWORKS = kinds(
    __name__,
    [
        "cp_resnet",
        "vib_cnn",
        "vgg9",
        "sb_cnn",
        "vgg5",
        "timbre",
        "vggish",
        "mfcc",
        "cp_mobile",
        "dcase_baseline",
        "tf_sepnet",
        "bc_resnet",
        "mn",
        "passt",
    ],
    Network,
)
