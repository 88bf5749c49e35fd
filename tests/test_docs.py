"""The documents: the site builds strictly, and every command, option, file and import in them exists."""

import ast
import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


def of_docs() -> ModuleType:
    """docs/reference.py, which makes parts of the site."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = of_docs()


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a page, of this language; "": of none."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(), flags=re.M | re.S)
    return [text for word, text in found if word == language]


def documented(pages: list[Path] = PAGES) -> list[str]:
    """Every command line of `overhear` and `ray` in the pages' blocks, in their order."""
    lines = []
    for path in pages:
        shell = "\n".join([*blocks(path, ""), *blocks(path, "bash")]).replace("\\\n", " ")
        for line in shell.splitlines():
            if found := re.match(r"\s*(?:exec |srun )?((?:overhear|ray) .*)", line):
                lines.append(re.sub(r"\$\{study\}", "width", found[1]))
    return lines


def parse(words: list[str]) -> None:
    """Parse a command line by the program it is for, and what it hands on to be run, too."""
    import ray.scripts.scripts

    import overhear

    program, *words = words
    known = {"ray": ray.scripts.scripts.cli, "overhear": typer.main.get_command(overhear.app)}
    command: Any = known[program]
    while hasattr(command, "commands"):
        if not words or words[0].startswith("-"):
            assert words[0] in [name for p in command.params for name in p.opts], words
            return
        name, *words = words
        assert name in command.commands, f"{program} has no {name}"
        program, command = f"{program} {name}", command.commands[name]
    if program == "ray symmetric-run":  # takes the options of `ray start`, and a command
        return parse(words[words.index("--") + 1 :])
    values = command.make_context(program, list(words)).params
    if program == "ray exec":
        return parse(shlex.split(values["cmd"]))
    if program == "ray job submit":
        return parse(list(values["entrypoint"]))
    return None


@pytest.mark.parametrize("line", sorted({*documented()}))
def test_documented_commands_parse(line: str):
    parse(shlex.split(line, comments=True))


def test_a_documented_option_that_is_not_there_is_found():
    with pytest.raises(Exception, match="No such option: --gpu-per-trial"):
        parse(shlex.split("ray exec c.yaml 'ray job submit -- overhear sweep x --gpu-per-trial 1'"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_pages_name_exists(path: Path):
    """Options and settings in code, files of the project, and commands in code."""
    import overhear
    from scaling.settings.catalog import catalog

    text = path.read_text()
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    command = typer.main.get_command(overhear.app)
    made = REFERENCE.commands()
    for code in inline:
        if found := re.match(r"(--[a-z][a-z-]+)", code):
            known = f"`{found[1]}`" in made or found[1] in ("--debug", "--help", "--version")
            assert known or found[1] == "--requeue", code
        if found := re.match(r"overhear ([a-z]+)(?: ([a-z]+))?", code):
            inner = command.commands[found[1]]
            assert not hasattr(inner, "commands") or not found[2] or found[2] in inner.commands
        if re.fullmatch(r"(?:--set )?[a-z]+(?:\.[a-z_]+)+(=.*)?", code):
            name = code.removeprefix("--set ").partition("=")[0]
            if name.partition(".")[0] in {each.name.partition(".")[0] for each in catalog()}:
                catalog(name)
        if re.fullmatch(r"(?:scaling|sweeps|analysis|benchmarks|tests|docs|\.ci)/[\w/.]+", code):
            assert "NAME" in code or (ROOT / code).exists(), code


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_on_pages_imports_what_exists(path: Path):
    for block in blocks(path, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                for each in node.names:
                    assert hasattr(module, each.name), f"{node.module} has no {each.name}"


def test_study_files_on_pages_plan(tmp_path: Path):
    """README's and the pages' studies list trials, as `overhear sweep FILE` would."""
    from sweeps.study import find, plan

    count = 0
    for path in PAGES:
        for block in blocks(path, "python"):
            if "QUESTION" in block:
                count += 1
                file = tmp_path / f"study{count}.py"
                file.write_text(block)
                assert plan(find(str(file)), {})
    assert count >= 4


def test_readme_is_short_and_shows_a_figure():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    figures = re.findall(r"!\[[^]]+\]\((docs/figures/\w+\.png)\)", text)
    assert figures
    for name in re.findall(r"figures/[\w.]+\.png", "".join(p.read_text() for p in PAGES)):
        assert (ROOT / "docs" / name).stat().st_size < 200_000, name


def test_every_file_says_what_it_owns():
    for package in REFERENCE.PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            assert 10 < len(REFERENCE.phrase(path)) < 140, path


def test_every_variable_is_documented():
    page = (ROOT / "docs" / "reference" / "environment.md").read_text()
    for package in REFERENCE.PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for name in re.findall(r"OVERHEAR_[A-Z]+", path.read_text()):
                assert f"`{name}`" in page, f"{path}: {name}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a dead link, a dead anchor or a page outside `nav` ends it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_the_site_asks_nobody(site: Path):
    """No page loads a font, script, style or picture from elsewhere."""
    loads = re.compile(r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=\"?(?:https?:)?//[^>]*>")
    for page in site.rglob("*.html"):
        found = [tag for tag in loads.findall(page.read_text()) if "canonical" not in tag]
        assert not found, f"{page.name}: {found[:2]}"


def test_the_reference_has_everything(site: Path):
    """Each study, setting, column, figure and failure that a test makes is on a page."""
    from analysis.figures import CURVES, FIGURES
    from scaling.results.schemas import SCHEMAS
    from scaling.settings.catalog import catalog
    from sweeps.study import shipped

    def page(name: str) -> str:
        return (site / f"{name}.html").read_text()

    for name, known in {
        "studies": [each.name for each in shipped()],
        "reference/settings": [each.name for each in catalog()],
        "reference/records": [n for s in SCHEMAS.values() for n in s.names if "." not in n],
        "reference/figures": [*FIGURES, *CURVES],
    }.items():
        text = page(name)
        missing = [each for each in known if f"<code>{each}</code>" not in text]
        assert name == "reference/records" or not missing, f"{name}: {missing}"
    assert page("faults").count("<tr>") > 15
    assert "<!-- made" not in "".join(path.read_text() for path in site.rglob("*.html"))
