"""Groups of options: flat on the command line, dataclasses for the command."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import pytest
import typer
from typer.testing import CliRunner

from scaling.commands.groups import grouped


@dataclass(frozen=True)
class Range:
    """Two of a command's options, the first of them required."""

    low: Annotated[float, typer.Option(help="the lower end")]
    high: Annotated[float, typer.Option()] = 1.0


def test_a_command_gets_its_groups_and_shows_their_options(capsys: pytest.CaptureFixture[str]):
    """In their place and order, with their defaults and help; called by Typer or by a person."""

    @grouped
    def command(
        name: str, *, within: Range, every: Annotated[bool, typer.Option()] = False
    ) -> None:
        """What it does."""
        print(name, within, every)

    app = typer.Typer()
    app.command()(command)
    made = CliRunner().invoke(app, ["x", "--low", "0.5", "--every"])
    assert made.output == "x Range(low=0.5, high=1.0) True\n"
    said = CliRunner().invoke(app, ["--help"], terminal_width=80).output
    assert "What it does." in said
    assert 0 < said.index("--low") < said.index("the lower end") < said.index("--high")
    assert said.index("--high") < said.index("--every")
    assert CliRunner().invoke(app, ["x"]).exit_code == 2, "--low is missing"
    command("y", low=0.1, high=0.2)
    assert capsys.readouterr().out == "y Range(low=0.1, high=0.2) False\n"
    with pytest.raises(TypeError, match="required"):
        command("y", lowest=0.1)


def test_names_are_of_one_option():
    def command(low: Range) -> None:
        """Its group is called like an option in it."""

    with pytest.raises(AssertionError, match="share a name"):
        grouped(command)


def test_help_shows_a_group_under_its_heading():
    """But an option that has one of its own; the same option elsewhere is left alone."""
    shared = typer.Option(help="the middle")
    own = typer.Option(rich_help_panel="Elsewhere")

    @dataclass(frozen=True)
    class Headed:
        HEADING: ClassVar[str] = "Ends"
        middle: Annotated[float, shared] = 0.5
        far: Annotated[float, own] = 1.0

    @grouped
    def command(ends: Headed, *, alone: Annotated[bool, typer.Option()] = False) -> None:
        """What it does."""

    app = typer.Typer()
    app.command()(command)
    said = CliRunner().invoke(app, ["--help"], terminal_width=80).output
    panels = said.split("╭─ ")
    of = {
        option: panel.split(" ")[0]
        for panel in panels
        for option in panel.split()
        if "--" in option
    }
    assert (of["--middle"], of["--far"], of["--alone"]) == ("Ends", "Elsewhere", "Options")
    assert shared.rich_help_panel is None
