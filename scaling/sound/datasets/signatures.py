"""Signatures: which files are sound, told by their endings or their first bytes.

What libsndfile reads is taken whatever its ending. Contents: ENDINGS, FOREIGN, `kind`.
"""

import re
from pathlib import Path
from typing import Literal

from scaling.sound.clips import open_regular

Kind = Literal["sound", "foreign", "other"]

# Of what libsndfile reads and people collect.
ENDINGS = frozenset(
    (
        *(
            ".wav",
            ".wave",
            ".bwf",
            ".rf64",
            ".w64",
            ".flac",
            ".ogg",
            ".oga",
            ".opus",
            ".mp3",
            ".mp2",
        ),
        *(".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".sph", ".nist", ".voc", ".pvf", ".avr"),
        *(".sf", ".xi", ".8svx"),
    )
)
# Of sound and film that it does not read.
FOREIGN = frozenset(
    (
        *(".m4a", ".m4b", ".mp4", ".aac", ".wma", ".amr", ".3gp", ".webm", ".mkv", ".mka", ".mov"),
        *(".ac3", ".ape", ".wv", ".mpc", ".dsf", ".ra"),
    )
)
# What lies beside recordings in great numbers and is not worth opening.
HARMLESS = frozenset(
    (
        *(".txt", ".csv", ".tsv", ".json", ".xml", ".md", ".pdf", ".png", ".jpg", ".jpeg", ".npy"),
        *(".lab", ".textgrid"),
    )
)
HEAD = 16  # bytes that are looked at
# Sources: libsndfile's formats; RFC 3533 (Ogg), RFC 9639 (FLAC), ISO/IEC 11172-3: an MPEG frame of
# layers II and III, since layer I begins as UTF-16 text may.
SOUND = re.compile(
    rb"RIF[FX]....WAVE|RF64....WAVE|BW64....WAVE|riff\x2e\x91\xcf\x11|FORM....(AIF[FC]|8SVX|16SV)"
    rb"|OggS|fLaC|caff\x00\x01|\.snd|dns\.|NIST_1A|Creative Voice|PVF1|2BIT|Extended Instrum"
    rb"|\x64\xa3[\x00-\x04]\x00|\x00[\x00-\x04]\xa3\x64|ID3[\x02-\x04]|\xff[\xe2\xe3\xf2-\xf5\xfa-\xfd]"
    rb"[\x10-\xef]",
    re.DOTALL,
)
MEDIA = re.compile(
    rb"....ftyp|\x30\x26\xb2\x75\x8e\x66\xcf\x11|#!AMR|\x1a\x45\xdf\xa3|wvpk|MAC |DSD |\.RMF"
    rb"|\xff[\xf0\xf1\xf8\xf9]",
    re.DOTALL,
)


def kind(path: Path) -> Kind:
    """Sound that is read, sound or film of a `foreign` format that is not, or something other.

    An ending of either kind is believed, so that a damaged recording is one; only other files are
    opened. Raises OSError.
    """
    ending = path.suffix.lower()
    if ending in ENDINGS:
        return "sound"
    if ending in HARMLESS:
        return "other"
    with open_regular(path) as file:
        head = file.read(HEAD)
    if SOUND.match(head):
        return "sound"
    return "foreign" if ending in FOREIGN or MEDIA.match(head) else "other"
