"""Damaged sound files of every format: the true samples or one line, and nothing else.

Where damage lies in samples without a checksum nothing can notice it. What must never happen is
that part of a file passes as a whole, shorter clip.
"""

import re
import time

import numpy as np
import pytest
from test_decode import CONTAINERS, encoded, noise

from scaling.sound.decode import decode_bytes

DAMAGES = ("cut", "flip", "header", "zero", "splice", "grow", "double", "rename")
CHECKED = {"FLAC", "OGG"}  # their samples have checksums
# What the libraries below us say, and Python.
JARGON = re.compile(r"psf|sndfile|error|codec|internal|array|traceback|object|0x|lost sync", re.I)


def damaged(content: bytes, damage: str, draw: np.random.Generator) -> bytes:
    made = bytearray(content)
    at = int(draw.integers(len(made)))
    if damage == "cut":
        return bytes(made[:at])
    if damage == "flip":
        made[at] ^= 1 << int(draw.integers(8))
    elif damage == "header":
        for _ in range(int(draw.integers(1, 9))):
            made[int(draw.integers(min(200, len(made))))] = int(draw.integers(256))
    elif damage == "zero":
        made[at : at + 64] = bytes(len(made[at : at + 64]))
    elif damage == "splice":
        del made[at : at + int(draw.integers(1, 3_000))]
    elif damage == "grow":
        made += draw.bytes(int(draw.integers(1, 300)))
    elif damage == "double":
        made[at:at] = made[at : at + 100]
    elif damage == "rename":
        made[:4] = (b"RIFF", b"OggS", b"fLaC", b"FORM", b"ID3\x04", b"\xff\xfb\x90\x00")[at % 6]
    return bytes(made)


@pytest.mark.parametrize(("kind", "coding"), CONTAINERS)
def test_damage_gives_the_true_samples_or_one_line(kind: str, coding: str):
    channels = 1 if "GSM" in coding or "ADPCM" in coding or kind in ("SVX", "HTK") else 2
    content = encoded(kind, coding, noise(6_001, channels))
    true = decode_bytes(content).samples
    draw = np.random.default_rng([len(content), *coding.encode()])
    for trial in range(3 * len(DAMAGES)):
        damage = DAMAGES[trial % len(DAMAGES)]
        hurt = damaged(content, damage, draw)
        begin = time.monotonic()
        try:
            samples = decode_bytes(hurt).samples
        except ValueError as error:
            said = str(error)
            assert len(said) < 200, said
            assert "\n" not in said
            assert ": " in said, said
            assert not JARGON.search(said), said
        else:
            alike = samples.shape[1] == true.shape[1]
            part = alike and len(samples) < len(true)
            assert not (part and np.array_equal(samples, true[: len(samples)])), (damage, trial)
            assert hurt == content or damage != "cut", "a file that is cut off passed as whole"
            if kind in CHECKED:
                assert np.array_equal(samples, true), (damage, trial)
        assert time.monotonic() - begin < 5
