"""The documents: the site builds strictly; commands, options, settings, files, imports exist."""

import importlib.util
import os
import re
import shlex
import stat
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
                lines.append(re.sub(r"\$\{?\w+\}?", "4", found[1]))  # variables of the shell
    return lines


def parse(words: list[str]) -> None:
    """Parse a command line by the program it is for, and what it hands on to be run, too."""
    import ray.scripts.scripts

    from overhear.command import app

    program, *words = words
    known = {
        "ray": ray.scripts.scripts.cli,
        "overhear": typer.main.get_command(app),
    }
    command: Any = known[program]
    while hasattr(command, "commands") and words[0] in command.commands:
        program, command = f"{program} {words[0]}", command.commands[words[0]]
        words = words[1:]
    if hasattr(command, "commands"):  # an option of the program itself
        assert words[0] in [name for p in command.params for name in p.opts], (program, words)
    elif program == "ray symmetric-run":  # takes the options of `ray start`, then a command
        parse(words[words.index("--") + 1 :])
    else:
        values = command.make_context(program, list(words)).params
        if program == "ray exec":
            parse(shlex.split(values["cmd"]))
        if program == "ray job submit":
            parse(list(values["entrypoint"]))


@pytest.mark.parametrize("line", sorted({*documented()}), ids=str)
def test_documented_commands_parse(line: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("scaling.typed._mode", lambda path, asked: asked is not stat.S_ISREG)
    monkeypatch.setattr("scaling.typed.os.access", lambda *_: True)  # what is "there" is made up
    parse(shlex.split(line, comments=True))


def test_a_documented_option_that_is_not_there_is_found():
    with pytest.raises(Exception, match="No such option: --gpu-per-trial"):
        parse(shlex.split("ray exec c.yaml 'ray job submit -- overhear sweep x --gpu-per-trial 1'"))


def inline(pattern: str) -> list[re.Match[str]]:
    """What stands in code within the pages' prose and begins like this."""
    prose = [re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S) for page in PAGES]
    codes = re.findall(r"`([^`\n]+)`", "\n".join(prose))
    return [found for code in codes if (found := re.match(pattern, code))]


def test_options_and_commands_in_prose_exist():
    from overhear.command import app

    command: Any = typer.main.get_command(app)
    made = REFERENCE.commands()
    others = {"--debug", "--help", "--version", "--requeue", "--exclusive"}
    for found in inline(r"--[a-z][a-z-]+"):
        assert f"`{found[0]}`" in made or found[0] in others, found.string
    for found in inline(r"overhear (?!COMMAND)(\S+)"):
        assert found[1] in {*command.commands, *others}, found.string


def test_settings_in_prose_exist():
    from scaling.settings.catalog import catalog

    groups = {each.name.partition(".")[0] for each in catalog()}
    found = [f for f in inline(r"(?:--set )?(([a-z]+)(?:\.[a-z_]+)+)(?:=\S*)?$") if f[2] in groups]
    assert len(found) > 30
    for each in found:
        assert catalog(each[1])


def test_files_in_prose_exist():
    folders = "scaling|sweeps|analysis|benchmarks|tests|docs|requirements"
    found = inline(rf"((?:{folders}|\.ci)/[\w/.-]+)$")
    assert len(found) > 20
    for each in found:
        assert "NAME" in each[1] or (ROOT / each[1]).exists(), each[1]


def test_python_on_pages_runs():
    """All blocks but those that read results."""
    found = [block for page in PAGES for block in blocks(page, "python")]
    reading = ("read_parquet", "load_results")
    ran = [block for block in found if not any(word in block for word in reading)]
    assert len(ran) == len(found) - len(reading)
    for block in ran:
        exec(compile(block, "page", "exec"), {"__name__": "page"})


def test_study_files_on_pages_plan(tmp_path: Path):
    """README's and the pages' studies list trials, as `overhear sweep FILE` would."""
    from sweeps.study import find

    studies = [b for page in PAGES for b in blocks(page, "python") if "QUESTION" in b]
    assert len(studies) >= 4
    (tmp_path / "my_net.py").write_text(blocks(ROOT / "docs" / "own_parts.md", "python")[0])
    for number, block in enumerate(studies):
        file = tmp_path / f"study{number}.py"
        file.write_text(block)
        assert list(find(str(file)).trials())


def test_half_of_the_tutorials_study_is_own_width(tmp_path: Path):
    """As its section 7 promises: those trials are complete already and do not run again."""
    from sweeps.study import find

    file = tmp_path / "damping.py"
    file.write_text(blocks(ROOT / "docs" / "tutorial.md", "python")[0])
    asked = {trial.id for trial in find(str(file)).trials()}
    complete = {trial.id for trial in find("own_width").trials()}
    assert complete < asked
    assert len(asked) == 2 * len(complete)


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
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
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


def test_the_site_has_everything(site: Path):
    """Each study, dataset, setting, recipe, column and figure, and every failure that a test makes,
    stands in a cell of its own.
    """
    from analysis.figures.registry import FIGURES
    from scaling.results.schemas import SCHEMAS
    from scaling.settings import leaves
    from scaling.settings.recipes import RECIPES
    from scaling.sound.datasets import DATASETS
    from sweeps.study import shipped

    columns = {name for schema in SCHEMAS.values() for name in schema.names} - leaves().keys()
    for page, known in {
        "studies": [study.name for study in shipped()],
        "data": DATASETS,
        "reference/settings": [*leaves(), *RECIPES],
        "reference/records": columns,
        "reference/figures": FIGURES,
    }.items():
        html = (site / f"{page}.html").read_text()
        assert [name for name in known if f"<code>{name}</code>" not in html] == [], page
    rows = (site / "faults.html").read_text().count("<tr>")
    tests = [path for path in (ROOT / "tests").glob("test_*.py") if path != Path(__file__)]
    assert rows == 1 + sum(path.read_text().count("mark.fault(") for path in tests)
    assert (site / "architecture.html").read_text().count(".py</code>") > 200
    assert "<!-- made" not in "".join(path.read_text() for path in site.rglob("*.html"))
