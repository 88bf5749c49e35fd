"""analysis.report: what the page holds, and that a browser shows it, offline and safely."""

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import typer
from test_analysis_table import complete, end, measure, plan, results, trial
from typer.testing import CliRunner

from analysis.again import command
from analysis.aggregate import ACCURACY
from analysis.choose import choose
from analysis.data import Data
from analysis.report import details
from analysis.report.page import LIMIT, page
from analysis.units import estimated
from overhear.command import app
from scaling.results import statements
from scaling.results.claims import Claim
from scaling.results.records import Results
from scaling.settings import Trial

__all__ = ["results"]  # the fixture

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
HOSTILE = "</script><img src=x onerror=document.title='owned'><b>&amp;\u2028"
PHONE = {"width": 360, "height": 740}
MANY = 1000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's chromium, once for all tests."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium: apt-get install chromium")
    with driver.sync_playwright() as driven:
        made = driven.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens a page without a network; what it says to the console or asks for is a failure."""
    contexts, said, asked = [], [], []

    def open_(text: str, fragment: str = "", **how: Any) -> Any:
        file = tmp_path / "report.html"
        file.write_text(text, encoding="utf-8")
        context = browser.new_context(offline=True, **how)
        contexts.append(context)
        shown = context.new_page()
        shown.set_default_timeout(10_000)
        shown.on("console", lambda message: said.append(message.text))
        shown.on("pageerror", lambda error: said.append(str(error)))
        shown.on("dialog", lambda dialog: said.append(dialog.message))
        shown.on("request", lambda request: asked.append(request.url))
        shown.goto(file.as_uri() + fragment)
        if how.get("java_script_enabled", True):
            shown.wait_for_selector("html[data-ready]", state="attached")
        return shown

    yield open_
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def predict(results: Results, of: Trial, clips: int = 20) -> None:
    """Predictions of unseen devices: every fourth clip of `b` is taken for HOSTILE."""
    rows = [
        {"trial": of.id, "epoch": 3, "split": "unseen", "clip": f"{k}{HOSTILE}", "device": "a"}
        | {"label": "ab"[k % 2], "logits": [0.0, 1.0, 0.0]}
        | {"predicted": HOSTILE if k % 8 == 1 else "ab"[k % 2]}
        for k in range(clips)
    ]
    results.write("predictions", of.id, rows)


def hear(results: Results, of: Trial, device: str, value: float) -> None:
    """One device more, with the same accuracy everywhere."""
    rows = results.read("metrics", [of.id]).to_pylist()
    heard = [row | {"device": device, "value": value} for row in rows if row["device"] == "a"]
    results.write("metrics", of.id, rows + heard)


def field(
    results: Results, of: Trial, splits: tuple[str, ...] = ("unseen",), rows: int = 4
) -> None:
    """An ERF map of rows x 6 pixels on each of these splits."""
    numbers = dict.fromkeys(("row", "column", "sigma_f", "sigma_t"), 1.0)
    numbers |= dict.fromkeys(("f50", "t50", "f95", "t95"), 2)
    numbers |= dict.fromkeys(("luo_side", "participation", "inside"), 1.0)
    about = {"trial": of.id, "epoch": 3, "kind": "feature", "clips": 1}
    pixels = {"rows": rows, "columns": 6, "values": [k / (6 * rows) for k in range(6 * rows)]}
    made = [about | {"split": split} | pixels | numbers for split in splits]
    results.write("maps", of.id, made)


def runs(validation: bool = True, seeds: int = 2) -> dict[Trial, dict[str, list[float]]]:
    """Widths 4, 8 and 16, base and damped: the wider the better, base above damped;
    on unseen devices damped is above base.
    """
    made = {}
    for width, damping, seed in product((4, 8, 16), (0.0, 0.5), range(seeds)):
        value = 0.4 + width / 100 - damping / 10 + seed / 100
        splits = {"seen": value, "unseen": value + damping / 4}
        splits |= {"validation": value} if validation else {}
        one = trial(seed=seed, network__width=width, network__damping=damping)
        made[one] = {split: [v - 0.2, v - 0.1, v] for split, v in splits.items()}
    return made


@pytest.fixture
def study(results: Results) -> Results:
    """`runs`, of which the first has all details, one that failed and one that never began; what
    people write in it is HTML.
    """
    known = runs()
    complete(results, known)
    for one in known:
        hear(results, one, HOSTILE, 0.9)
    first = next(iter(known))
    predict(results, first)
    field(results, first)
    failed, missing = trial(seed=7), trial(seed=8)
    plan(results, "more", [failed, missing], study=HOSTILE, data_digest=HOSTILE)
    end(results, failed, "failed", f"Diverged: {HOSTILE}")
    return results


def told(text: str) -> dict[str, Any]:
    """The data within a page."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def models(shown: Any) -> list[str]:
    return shown.locator("#rows tbody th").all_inner_texts()


def test_the_page_asks_for_nothing_and_runs_only_its_own_script(study: Results) -> None:
    text = page(Data(study))
    assert "default-src 'none'" in text
    assert re.findall(r'(?:src|href|action|srcset)="(?!#|data:,")[^"]*"', text) == []
    assert re.search(r"<[^>]*\son\w+=", text) is None
    assert text.count("</script>") == 2
    assert HOSTILE not in text


def test_claims_come_first_with_their_verdicts(results: Results) -> None:
    sides = {width: [trial(seed=s, network__width=width) for s in range(5)] for width in (4, 16)}
    values = {4: [0.40, 0.42, 0.41, 0.43, 0.40], 16: [0.61, 0.63, 0.60, 0.65, 0.62]}
    complete(
        results,
        {one: {"unseen": [v]} for w in sides for one, v in zip(sides[w], values[w], strict=True)},
    )
    wider, narrower = {"network.width": 16}, {"network.width": 4}
    stated = [
        Claim(f"width helps {HOSTILE}", wider, narrower),
        Claim("width harms", narrower, wider, at_least=0.01),
        Claim("nobody ran this", {"network.width": 99}, narrower),
    ]
    statements.state("s", stated, 0, results)
    text = page(Data(results))
    said = [each.strip() for each in re.findall(r'<li class="(\w+)">', text)]
    assert said == ["supported", "contradicted", "undecided"]
    assert "1 supported, 1 contradicted, 1 undecided" in text
    assert text.count('<circle class="effect"') == 2  # of the third nothing was measured
    # the mean of .21, .21, .19, .22, .22
    assert "Difference in accuracy on unseen: +21.0 points" in text
    assert text.index("width helps") < text.index("Which model")
    assert HOSTILE not in text


def test_no_device_hides_behind_the_mean(results: Results) -> None:
    """Each device has its accuracy, and the worst is marked."""
    seeds = [trial(seed=s) for s in range(3)]
    complete(results, {one: {"test": [0.5]} for one in seeds})
    for one in seeds:
        hear(results, one, HOSTILE, 0.9)
    text = page(Data(results))
    section = text[text.index('id="devices"') : text.index('id="trial"')]
    # mean, worst, 10th percentile, the device whose name is HTML, device a
    assert re.findall(r">([\d.]+)<", section) == ["57.5", "25.0", "31.5", "90.0", "25.0"]
    assert re.search(r'<strong title="worst">25.0<', section)
    assert HOSTILE not in text


def test_data_are_those_of_the_tables(study: Results) -> None:
    data = Data(study)
    found = told(page(data))
    scores = data.scores().query("device == 'all'")
    for row in found["trials"]:
        here = scores[scores["trial"] == row[0]].set_index("split")["value"]
        assert row[4] == [round(1000 * here[s]) if len(here) else None for s in found["splits"]]
    states = [row[2] for row in found["trials"]]
    assert (states.count("complete"), states.count("failed"), states.count("missing")) == (12, 1, 1)
    first = next(iter(runs())).id
    split, classes, pairs, each = found["confusions"][first]
    assert (split, found["classes"][classes][1:], each) == ("unseen", ["a", "b"], 1.0)
    assert dict(zip(pairs[::2], pairs[1::2], strict=True)) == {4: 10, 6: 3, 8: 7}
    accuracy = {line[0]: line[2] for line in found["curves"][first]}
    assert accuracy["unseen"] == [240, 340, 440]


def test_a_trial_shows_devices_and_classes_with_intervals_and_its_calibration(
    opened: Callable[..., Any], study: Results
) -> None:
    """Half of the clips of class b are taken for a; intervals are those of analysis.units."""
    first = next(iter(runs())).id
    rows = [
        {"trial": first, "epoch": 3, "split": split, "clip": f"{k}", "device": device}
        | {"label": "ab"[k % 2], "predicted": "ab"[k % 4 == 3], "logits": [k % 4 < 3, k % 4 == 3]}
        for split in ("seen", "unseen", "validation")
        for device in ("a", HOSTILE)
        for k in range(20)
    ]
    study.write("predictions", first, rows)
    data = Data(study)
    shown = opened(page(data), f"#trial={first}")

    def lines(what: str) -> list[list[str]]:
        rows = shown.get_by_role("region", name=f"This trial by {what}").locator("tbody tr")
        return [each.locator("th, td").all_inner_texts()[:5] for each in rows.all()]

    def interval(share: float, clips: int) -> str:
        found = estimated([share], [1], [0], [clips])
        return f"{100 * found.low:.1f} to {100 * found.high:.1f}"

    assert lines("class") == [
        ["a", "100.0 %", interval(1.0, 10), "10"],
        ["b", "50.0 %", interval(0.5, 10), "10"],
    ]
    scores = data.scores().set_index(["trial", "split", "device"])["value"]
    share = round(scores[first, "unseen", "a"], 3)
    said = ["a", "unseen", f"{100 * share:.1f} %", interval(share, 20), "20"]
    assert said in lines("device")
    assert shown.get_by_text("over the clips of this one training").count() == 2
    # 75 % right, and always as sure as e / (e + 1) is: 73.1 %
    assert shown.get_by_text(re.compile(r"Expected calibration error 1\.9 %")).count() == 1
    assert shown.get_by_role("img", name=re.compile("Accuracy by confidence")).count() == 1


def test_the_words_of_a_trial_are_the_command_that_makes_it_again(study: Results) -> None:
    data = Data(study)
    found = told(page(data))
    planned = data.manifest.set_index("trial", drop=False)
    for row in found["trials"]:
        own = [f"{name}={value}" for name, value in zip(found["repeats"], row[5], strict=True)]
        words = found["words_of"][row[3]] + [own[w] if isinstance(w, int) else w for w in row[6]]
        expected = shlex.split(command(planned.loc[row[0]].to_dict()))
        assert words[:2] == expected[2:4] == ["--recipe", "quickstart"]
        assert sorted(words) == sorted(expected[2:])
    assert found["repeats"] == ["seed"]
    assert any(row[5:7] == [["1"], [0]] for row in found["trials"])


def test_details_are_thinned_to_their_room_and_the_page_says_so() -> None:
    line = ["unseen", [*range(1, 101)], [*range(100)], []]
    thin = details.thinned([line], 5)
    assert thin == [["unseen", [1, 26, 51, 75, 100], [0, 25, 50, 74, 99], []]]
    made = details.fitted(lambda n: {"t": [0] * n}, (50, 20, 10), 60)
    assert (made.level, made.finest, made.details) == (20, False, {"t": [0] * 20})
    assert details.fitted(lambda n: {"t": [0] * n}, (50,), 60).details == {}
    escaped = details.fitted(lambda n: {"t": "<" * n}, (9, 8), 60)  # each is six letters in a page
    assert escaped.level == 8


def test_a_page_that_would_be_too_big_says_what_it_leaves_out(
    study: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = page(Data(study))
    assert "fewer details" not in whole
    most = len(whole.encode())
    monkeypatch.setattr("analysis.report.page.LIMIT", most)  # with nothing to spare
    text = page(Data(study))
    assert len(text.encode()) <= most
    assert "fewer details than were recorded: learning curves: none." in text
    assert told(text)["curves"] == {}


def test_columns_sort_and_words_filter(opened: Callable[..., Any], study: Results) -> None:
    shown = opened(page(Data(study)))
    shares = [0.7825, 0.7875, 0.78749999999999, 0.7835, 0.2, 1.0, 0.00049]
    said = [ACCURACY.text(share) for share in shares]  # as tables say them, ties among them
    assert shown.evaluate("(shares) => shares.map(tenths)", shares) == said
    shown.get_by_role("button", name="Validation %").click()
    assert shown.locator("#rows th[aria-sort]").get_attribute("aria-sort") == "descending"
    best = models(shown)
    shown.get_by_role("button", name="Validation %").click()
    scored = models(shown)[:6]
    assert scored == best[:6][::-1]  # what was not scored comes last either way
    assert best[0] == "base, width 16"
    shown.get_by_label("Rows with all of these words").fill("DAMPED 16")
    assert models(shown) == ["damped 0.5, width 16"]
    shown.get_by_label("Rows with all of these words").fill("failed")
    shown.get_by_label("Trials", exact=True).check()
    assert shown.locator("#rows output").inner_text() == "1 of 14 trials"


def test_a_slider_names_the_best_model_within_its_budget(
    opened: Callable[..., Any], study: Results
) -> None:
    shown = opened(page(Data(study)))
    named = shown.locator("output.chosen strong")
    assert named.inner_text() == "base, width 16"
    slider = shown.locator("input[data-cost=parameters]")
    slider.focus()
    slider.press("ArrowLeft")
    assert named.inner_text() == "base, width 8"
    assert slider.get_attribute("aria-valuetext") == "at most 16,000 parameters"
    slider.press("Home")
    assert named.inner_text() == "base, width 4"
    assert shown.locator("a.point.beyond").count() == 4


def test_the_order_of_the_page_is_that_of_choose(results: Results) -> None:
    """Whatever is limited, the first of the page's order within it is what choose names."""
    complete(results, runs(seeds=3))
    data = Data(results)
    known = told(page(data))["configurations"]
    for cost in ("parameters", "macs"):
        for limit in {each["costs"][cost] for each in known}:
            within = [e for e in known if "rank" in e and e["costs"][cost] <= limit]
            named = min(within, key=lambda each: each["rank"])
            chosen = choose(data, {cost: limit}, {}).best
            assert named["trials"][0] in chosen["trials"].split()
    often = {each["label"]: each["often"]["parameters"] for each in known}
    assert (often["base, width 16"], often["damped 0.5, width 16"]) == (1, 0)


def test_without_validation_clips_the_page_owns_up(
    opened: Callable[..., Any], results: Results
) -> None:
    complete(results, runs(validation=False))
    shown = opened(page(Data(results)))
    assert "No validation clips were scored" in shown.locator("#frontier .note").inner_text()
    assert "Chosen by unseen devices" in shown.locator("output.chosen").inner_text()
    assert shown.locator("output.chosen strong").inner_text() == "damped 0.5, width 16"


def test_the_field_is_that_of_unseen_devices_in_whatever_order_it_was_computed(
    results: Results,
) -> None:
    one = trial()
    complete(results, {one: {"seen": [0.5], "unseen": [0.5]}})
    field(results, one, ("unseen", "seen"))
    assert told(page(Data(results)))["maps"][one.id][3] == "unseen"


def test_a_tall_field_leaves_room_for_the_rest(opened: Callable[..., Any], study: Results) -> None:
    first = next(iter(runs()))
    field(study, first, rows=64)
    box = opened(page(Data(study)), f"#trial={first.id}").locator("canvas").bounding_box()
    assert box["height"] <= 330
    assert box["height"] / box["width"] == pytest.approx(64 / 6, rel=0.1)


def test_keyboard_focus_is_seen_on_the_named_model_too(
    opened: Callable[..., Any], study: Results
) -> None:
    shown = opened(page(Data(study)))
    ring = "getComputedStyle(document.querySelector('a.point.best .halo')).stroke"
    before = shown.evaluate(ring)
    shown.locator("a.point.best").focus()
    assert shown.evaluate(ring) != before


@pytest.mark.parametrize(
    ("ticks", "said"), [("[1.8, 2, 2.2]", ["1.8", "2.0", "2.2"]), ("[0, 20]", ["0", "20"])]
)
def test_ticks_of_one_axis_have_as_many_decimals(
    opened: Callable[..., Any], study: Results, ticks: str, said: list[str]
) -> None:
    shown = opened(page(Data(study)))
    found = shown.evaluate(f"labelled({ticks}, (v) => `${{+v.toFixed(2)}}`).map((each) => each[1])")
    assert found == said


def test_a_point_leads_to_its_trial_by_mouse_and_by_keyboard(
    opened: Callable[..., Any], study: Results
) -> None:
    shown = opened(page(Data(study)))
    shown.locator("a.point[aria-label^='base, width 4:']").click()
    title = shown.locator("#trial-title")
    assert title.inner_text() == "Trial W4-seed0"
    assert title.evaluate("each => each === document.activeElement")
    body = shown.locator("#trial-body")
    assert "overhear train --recipe quickstart" in body.inner_text()
    assert body.locator("svg[role=img]").count() == 3  # two curves and the calibration
    assert body.locator("canvas[role=img]").count() == 1
    assert body.locator(".confusion td").all_inner_texts()[-1] == "7"
    assert "Not in this page" not in body.inner_text()
    tabbed = shown.locator("a.point[tabindex='0']")
    assert tabbed.count() == 1
    tabbed.focus()
    shown.keyboard.press("ArrowLeft")
    label = shown.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label.startswith("damped 0.5, width 16: 32,000 parameters, 51.5 %")
    shown.keyboard.press("Enter")
    shown.locator("#trial-title:focus").wait_for()
    assert title.inner_text() == "Trial W16-damped-seed0"
    assert "predictions" in body.locator("p.quiet").last.inner_text()


def test_what_people_write_injects_nothing(opened: Callable[..., Any], study: Results) -> None:
    shown = opened(page(Data(study)))
    failed = trial(seed=7).id
    shown.goto(f"{shown.url}#trial={failed}")
    shown.locator("#trial-title:focus").wait_for()
    assert "<img src=x" in shown.locator("#trial-body pre").first.inner_text()
    shown.goto(f"{shown.url.split('#')[0]}#trial={next(iter(runs())).id}")
    shown.locator(".confusion th", has_text="<img src=x").first.wait_for()
    assert "<img src=x" in shown.locator("#failures").inner_text()
    assert "<img src=x" in shown.locator("#origin").inner_text()
    assert shown.locator("img, b").count() == 0
    assert shown.title().startswith("Overhear report")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(opened: Callable[..., Any], study: Results, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    shown = opened(page(Data(study)), f"#trial={next(iter(runs())).id}", color_scheme=scheme)
    shown.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    found = axe.run(shown).response["violations"]
    assert [(f["id"], f["nodes"][0]["html"]) for f in found if f["impact"] != "minor"] == []


def test_the_switch_changes_the_theme(opened: Callable[..., Any], study: Results) -> None:
    shown = opened(page(Data(study)), color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = shown.evaluate(paper)
    switch = shown.locator("#theme")
    switch.click()
    assert switch.inner_text() == "Theme: light"
    assert shown.evaluate(paper) == "rgb(255, 255, 255)" != dark
    switch.click()
    assert shown.evaluate(paper) == dark


def test_a_phone_shows_all_without_scrolling_aside(
    opened: Callable[..., Any], study: Results
) -> None:
    shown = opened(page(Data(study)), f"#trial={next(iter(runs())).id}", viewport=PHONE)
    shown.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    assert shown.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert shown.locator("#chooser svg").first.bounding_box()["width"] <= PHONE["width"]


def test_without_javascript_the_numbers_stand_there(
    opened: Callable[..., Any], study: Results
) -> None:
    shown = opened(page(Data(study)), java_script_enabled=False)
    assert models(shown)[:2] == ["base, width 4", "damped 0.5, width 4"]
    assert "Diverged" in shown.locator("#failures").inner_text()
    assert not shown.locator("#theme").is_visible()


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of MANY trials on four devices."""
    made = Results(tmp_path_factory.mktemp("many") / "results")
    made.prepare()
    sizes = product(range(4, 24), (0.0, 0.5), range(1, 6), range(5))
    trials = [
        trial(seed=s, split__fold=f, network__width=w, network__damping=d) for w, d, f, s in sizes
    ]
    assert len(trials) == MANY
    devices = ["all", *"abcd"]
    epochs = np.arange(1, 26, dtype=np.int32)
    cells = [(s, d, m) for s in ("seen", "unseen", "validation") for d in devices
             for m in ("accuracy", "loss")]  # fmt: skip
    columns = {
        "epoch": np.tile(epochs, len(cells)),
        **{
            n: np.repeat([c[k] for c in cells], 25)
            for k, n in enumerate(("split", "device", "metric"))
        },
    }
    noise = np.random.default_rng(0).random(len(columns["epoch"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)  # of what outlives no test
        plan(made, "launch", trials)
        for number, one in enumerate(trials):
            rise = 0.3 + 0.3 * columns["epoch"] / 25 + 0.2 * np.roll(noise, number)
            table = {"trial": np.repeat(one.id, len(rise)), **columns, "value": rise}
            made.write("metrics", one.id, pa.table(table))
            end(made, one)
    return page(Data(made))


def test_a_thousand_trials_fit(thousand: str) -> None:
    assert len(thousand.encode()) <= LIMIT
    found = told(thousand)
    assert len(found["trials"]) == len(found["devices"]) == len(found["curves"]) == MANY


def test_ten_thousand_trials_would_fit_by_what_each_takes(thousand: str) -> None:
    """Details are dropped first, each with a word of it; what cannot be dropped is the rows."""
    found = told(thousand)
    each = len(json.dumps(found["trials"], separators=(",", ":"))) / MANY
    rest = len(thousand.encode()) - sum(
        len(json.dumps(found[name], separators=(",", ":")))
        for name in ("trials", "devices", "curves", "confusions", "calibrations", "maps")
    )
    assert rest + 10_000 * each <= LIMIT - 100_000


def test_a_thousand_trials_are_usable_within_two_seconds(
    opened: Callable[..., Any], thousand: str
) -> None:
    shown = opened(thousand)
    assert shown.evaluate("ready") < 2000  # ms since navigation
    shown.get_by_label("Trials", exact=True).check()
    sort = """() => { const start = performance.now();
        document.querySelectorAll('#rows thead button')[4].click(); document.body.offsetHeight;
        return performance.now() - start; }"""
    assert shown.evaluate(sort) < 2000
    shown.get_by_role("button", name="Show all").click()
    assert shown.locator("#rows tbody tr").count() == MANY
    assert shown.evaluate(sort) < 2000


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["report", *words], standalone_mode=False)


def test_the_command_writes_the_page_beside_the_records(study: Results, tmp_path: Path) -> None:
    done = run(study.where)
    assert done.exit_code == 0, done.output
    file = Path(study.path("report.html"))
    assert f"{file} ({file.stat().st_size:,} bytes" in done.output
    assert "14 trials: 12 complete" in done.output
    deep = tmp_path / "not" / "there" / "page.html"
    assert run(study.where, "--out", str(deep)).exit_code == 0
    assert deep.read_bytes() == file.read_bytes()
    assert [each.name for each in deep.parent.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((".",), "not a results folder"),
        (("memory://results",), "memory://results"),
        (("{study}", "--out", " "), "is empty: give it a value"),
        (("{study}", "--out", "{study}"), "does not end in .html: name a .html file"),
        (("{study}", "--out", "s3://bucket/page.html"), "is not on this machine"),
        (("{study}", "--out", "{study}/manifest/launch.parquet/page.html"), "cannot be written"),
    ],
)
def test_bad_input_is_one_line(
    study: Results, words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*(word.format(study=study.path()) for word in words))
    assert isinstance(done.exception, ValueError | typer.BadParameter)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)


def test_a_study_that_has_just_begun_is_a_page(
    results: Results, opened: Callable[..., Any]
) -> None:
    plan(results, "launch", [trial(), trial(seed=1)])
    measure(results, trial(), {"unseen": [0.1, 0.2]})
    shown = opened(page(Data(results)))
    assert "No trial is complete" in shown.locator("#frontier").inner_text()
    assert "1 running, study s" in shown.locator("#failures").inner_text()
