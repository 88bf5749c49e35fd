"""Text of users on its way out: to the terminal, into the name of a file, into one line.

Labels, devices, paths and errors may hold anything, also what a terminal obeys: escape sequences
that recolour, erase or retitle, and marks that reverse the order of letters. None of that reaches
a terminal: whatever is printed as plain text passes `guarded`, and what rich lays out is made
`printable` where its table is built. Contents: printable, one_line, file_name, guarded, behind.
"""

import hashlib
import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

LONGEST_LINE = 1_900  # letters of an error; of a longer one the middle is left out
LONGEST_NAME = 80  # bytes of a text in the name of a file, which may have 255 in all
# Controls (C0, DEL, C1); marks of direction; line separators; what is invisible; halves of pairs.
# Joiners (U+200C, U+200D) stay: scripts and emoji need them.
_OBEYED = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f"
)
_IN_LINES = re.compile(f"[{_OBEYED}]")  # a line break and a tab are what they are
_IN_A_LINE = re.compile(f"[\n\t{_OBEYED}]")


def printable(text: object) -> str:
    r"""The text in one line, where what a terminal would obey stands as `\x1b` or `\u202e`."""
    return _IN_A_LINE.sub(_escaped, str(text))


def one_line(text: object) -> str:
    """An error's text as one printable line of LONGEST_LINE letters at most: its beginning says
    what is wrong, its end what helps.
    """
    whole = str(text)
    if len(whole) > 4 * LONGEST_LINE:  # it may be a megabyte
        whole = whole[: 2 * LONGEST_LINE] + whole[-2 * LONGEST_LINE :]
    folded = printable(" ".join(whole.split()))
    if len(folded) <= LONGEST_LINE:
        return folded
    end = LONGEST_LINE // 4
    return f"{folded[: LONGEST_LINE - end - 5]} ... {folded[-end:]}"


def file_name(text: str) -> str:
    """The text as a part of a file's name that is safe on every system.

    Letters and digits of any script, `_`, `-` and `.` stay; a text that is changed or cut ends in
    eight hex digits of its SHA-256, so that two texts never share a name.
    """
    kept = re.sub(r"[^\w.-]+", "-", unicodedata.normalize("NFC", text)).strip("-.")
    kept = kept.encode(errors="ignore")[:LONGEST_NAME].decode(errors="ignore")
    if kept and kept == text:
        return kept
    digits = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{kept}-{digits}" if kept else digits


@contextmanager
def guarded() -> Iterator[None]:
    """Escape what a terminal would obey in all plain text that is printed meanwhile.

    rich finds the stream behind, as its own sequences are meant; what it shows live needs `behind`.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, _Guarded(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def behind(stream: TextIO) -> TextIO:
    """The stream itself, for the Console of something live: rich then puts a proxy of its own
    before `guarded`'s, and looks behind one of them only.
    """
    return cast(TextIO, getattr(stream, "rich_proxied_file", stream))


class _Guarded:
    """A text stream whose `write` escapes; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream  # what rich's Console writes to

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)

    def write(self, text: str) -> int:
        self.rich_proxied_file.write(_IN_LINES.sub(_escaped, text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)


def _escaped(match: re.Match[str]) -> str:
    r"""`\n`, `\x1b`, `\u202e`, as Python would write it."""
    return ascii(match[0])[1:-1]
