"""Presets: known limits of what a network in use may cost, by name. No torch.

Source: the low-complexity task of DCASE 2022 to 2025 (arXiv 2405.10018): 128 kB of parameters,
zeros included, one byte each in int8, and 30 million multiply-adds of a clip of 1 s, which its
counter counts with biases and normalization (`dcase_macs`, scaling.networks.cost).
"""

PRESETS: dict[str, dict[str, float]] = {"dcase": {"parameters": 128_000.0, "dcase_macs": 30e6}}
