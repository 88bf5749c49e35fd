"""Counts: how many samples a header announces, where libsndfile counts otherwise."""

from scaling.sound.decode.containers import STREAMED, chunks, number

GSM_IN_WAV = 0x31  # format tag (RFC 2361)
GSM_BYTES, GSM_SAMPLES = 65, 320  # of one block of GSM 6.10


def flac(content: memoryview) -> int:
    """How many samples of each channel a FLAC file announces; 0 for other files and from a pipe."""
    if bytes(content[:4]) != b"fLaC":
        return 0
    return number(content, 21, 5, "big") & (2**36 - 1)


def gsm(content: memoryview) -> int:
    """How many samples a GSM 6.10 WAV file holds, less what fills up its last block; 0 for others.

    Its `fact` chunk says so. libsndfile takes padding after the last block for one more.
    """
    if bytes(content[:4]) != b"RIFF":
        return 0
    tag = count = 0
    for name, start, length in chunks(content, 12, "little"):
        if name == b"fmt ":
            tag = number(content, start, 2, "little")
        elif name == b"fact":
            count = number(content, start, 4, "little")
        elif name == b"data":
            if tag != GSM_IN_WAV or length >= STREAMED:
                return 0
            blocks = length // GSM_BYTES * GSM_SAMPLES
            return count if blocks - GSM_SAMPLES < count <= blocks else blocks
    return 0
