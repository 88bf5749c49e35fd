"""scaling.text: nothing of a user's text moves a terminal, or leaves a folder by its name."""

import io
import sys

import pytest
from rich.console import Console
from rich.live import Live
from rich.text import Text

from scaling.spelling import nearest
from scaling.text import LONGEST_LINE, behind, file_name, guarded, one_line, printable

HOSTILE = {
    "escape": "a\x1b[31mb",
    "title": "a\x1b]0;owned\x07b",
    "csi": "a\x9b2Jb",
    "bidi": "a\u202egnp.exe",
    "isolate": "a\u2066b\u2069",
    "return": "all is well\rfailed",
    "backspace": "a\x08b",
    "delete": "a\x7fb",
    "nul": "a\x00b",
    "separator": "a\u2028b",
    "lone surrogate": "a\udce9b",
    "tag": "a\U000e0041b",
}
OBEYED = {c for text in HOSTILE.values() for c in text if not c.isprintable()}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_a_terminal_would_obey_is_shown_instead(text: str):
    shown = printable(text)
    assert not OBEYED & set(shown)
    assert shown.isprintable()
    for letter in text:
        assert letter in shown or ascii(letter)[1:-1] in shown
    shown.encode()  # halves of pairs cannot be


@pytest.mark.parametrize(
    "text", ["Straßenbahn", "犬", "🐕‍🦺", "a b", "crème brûlée", "[red]x[/]", "\\"]
)
def test_what_a_terminal_only_shows_stays_as_it_is(text: str):
    assert printable(text) == text


def test_an_error_is_one_line_of_bounded_length():
    assert one_line("two\n  lines\t here\x1b") == "two lines here\\x1b"
    for text in ("x" * 10**6, "\x1b" * 10**6, "x" * (LONGEST_LINE + 1)):
        assert len(one_line(text)) <= LONGEST_LINE
        assert one_line("what is wrong: " + text + ": what helps").startswith("what is wrong: ")
        assert one_line("what is wrong: " + text + ": what helps").endswith(": what helps")
    assert one_line("x" * LONGEST_LINE) == "x" * LONGEST_LINE


def test_print_is_guarded_and_rich_keeps_its_colours(monkeypatch: pytest.MonkeyPatch):
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with guarded():
        print("\tone\ntwo\x1b[2J")
        sys.stderr.writelines(["\x9b", "\u202e\n"])
        Console(force_terminal=True, color_system="standard").print(Text("red", "red"))
    assert sys.stdout is out
    assert out.getvalue().startswith("\tone\ntwo\\x1b[2J\n\x1b[31mred")
    assert err.getvalue() == "\\x9b\\u202e\n"


def test_what_is_shown_live_overwrites_itself(monkeypatch: pytest.MonkeyPatch):
    err = io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)
    with guarded():
        screen = Console(file=behind(sys.stderr), force_terminal=True)
        with Live(console=screen, auto_refresh=False) as live:
            for line in ("1/2 done", "2/2 done"):
                live.update(Text(line), refresh=True)
            print("aside\x1b[2J", file=sys.stderr)
    shown = err.getvalue()
    assert "\r\x1b[2K" in shown
    assert "\\x1b" not in shown, "rich's own sequences are meant"
    assert "aside" in shown
    assert "\x1b[2J" not in shown, "those of others do not arrive"


@pytest.mark.parametrize(
    "text",
    [
        "../../etc/passwd", "..", ".", "/", "a/b", "a\\b", "-rf", "x\ny", "x\0y", "", " ", "$x$",
        "犬" * 200, "🐕", "x" * 300, "CON:", "a b", "\udce9", "a\u202eb",
    ],
)  # fmt: skip
def test_names_of_files_are_safe_whatever_the_text(text: str):
    name = file_name(text)
    assert name
    assert name not in (".", "..")
    assert name[0] not in "-."
    assert name.isprintable()
    assert not set(name) & set('/\\:*?"<>|\n\0$ ')
    assert len(name.encode()) < 100
    assert file_name(text) == name


def test_names_of_files_are_as_the_text_where_they_can_be_and_never_shared():
    assert file_name("dog_bark") == "dog_bark"
    assert file_name("犬") == "犬"
    texts = ["a b", "a-b", "a/b", "a\nb", "..a-b", "x" * 300, "x" * 301, "é", "e\u0301"]
    assert len({file_name(text) for text in texts}) == len(texts)


def test_a_message_names_twelve_known_words_at_most():
    assert nearest("zzz", ["ab", "cd"]) == " (known: ab, cd)"
    told = nearest("zzz", [f"a{number}" for number in range(5000)])
    assert told.endswith(", a11 and 4,988 more)")
