"""Letters: every text of a figure as its user wrote it, in fonts that have its letters.

Labels may be of any script. The default font has Latin, Greek and Cyrillic; for other letters the
fonts of the machine are searched. What a terminal would obey is invisible or breaks a file, so it
is escaped here as well. Contents: fit, without_glyph_warnings.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from scaling.text import printable

LAST_RESORT = ("Last Resort", "LastResort", ".LastResort")  # fonts that have a box for all letters


def fit(figure: Figure) -> None:
    """Give each text the fonts that its letters need; one warning names letters that none has."""
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]
    lacking: set[str] = set()
    for text in texts:
        text.set_text("\n".join(map(printable, text.get_text().split("\n"))))
        first = _path(tuple(text.get_fontfamily()))
        letters = {letter for letter in text.get_text() if not letter.isspace()}
        others = {letter for letter in letters if ord(letter) not in _has(first)}
        if others:
            found, missing = _fonts(frozenset(others))
            text.set_fontfamily([*text.get_fontfamily(), *found])
            lacking |= missing
    if lacking:
        named = ", ".join(f"{letter} (U+{ord(letter):04X})" for letter in sorted(lacking)[:5])
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        warnings.warn(
            f"no font of this machine has {named}{more}: figures show boxes for them; install one "
            "that does, such as Noto Sans CJK or Noto Emoji (CSV files and SVG hold the letters)",
            stacklevel=2,
        )


@contextmanager
def without_glyph_warnings() -> Iterator[None]:
    """Draw without matplotlib's own line for each letter and size that `fit` has warned of."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from")
        yield


@cache
def _path(family: tuple[str, ...]) -> str:
    return str(font_manager.findfont(font_manager.FontProperties(family=list(family))))


@cache
def _has(path: str) -> frozenset[int]:
    """The code points that a font has."""
    return frozenset(font_manager.get_font(path).get_charmap())


@cache
def _fonts(letters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Names of installed fonts that between them have these letters, and the letters left over."""
    left = set(letters)
    chosen: list[str] = []
    for font in sorted(font_manager.fontManager.ttflist, key=lambda each: each.name):
        if not left:
            break
        if font.name in chosen or font.name.startswith(LAST_RESORT):
            continue
        try:
            has = _has(font.fname)
        except (OSError, RuntimeError):  # gone since it was listed, or of a kind that is not read
            continue
        if any(ord(letter) in has for letter in left):
            chosen.append(font.name)
            left -= {letter for letter in left if ord(letter) in has}
    return tuple(chosen), frozenset(left)
