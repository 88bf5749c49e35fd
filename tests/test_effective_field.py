"""analysis.figures.effective_field: what panels hold, and that the drawing shows it."""

import math
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from test_analysis_table import trial

from analysis.conditions import marked
from analysis.figures import field_panels
from analysis.figures.bands import Bands
from analysis.figures.field_drawing import FLOOR, draw
from analysis.figures.field_panels import NUMBERS, Panel, cropped
from analysis.squares import SQUARES, squares
from scaling import settings
from scaling.results.schemas import SCHEMAS
from scaling.settings import Features, Trial
from scaling.sound import frontends
from scaling.sound.frontends import plain, spectra

SIZE = (64, 63)  # of the trials' clips: mel bands, frames; 16 kHz, hop 256
CENTRE = (24.0, 31.0)
HOP = 256 / 16_000


def spot(sigma_f: float, sigma_t: float = 6.0, scale: float = 1.0) -> NDArray[np.float64]:
    rows, columns = np.arange(SIZE[0])[:, None] - CENTRE[0], np.arange(SIZE[1]) - CENTRE[1]
    return scale * np.exp(-((rows / sigma_f) ** 2) / 2 - (columns / sigma_t) ** 2 / 2)


def record(of: Trial, values: NDArray[np.float64], **changes: object) -> dict[str, object]:
    told = dict.fromkeys(NUMBERS, 1.0) | {"row": CENTRE[0], "column": CENTRE[1], "inside": 1.0}
    about = {"trial": of.id, "epoch": 3, "split": "test", "kind": "feature", "clips": 4}
    size = {"rows": SIZE[0], "columns": SIZE[1], "values": values.astype(np.float32).ravel()}
    return about | size | told | changes


def planned(*trials: Trial, side: int = 41) -> pd.DataFrame:
    rows = [{"trial": t.id, **settings.flat(t), "receptive_field": side} for t in trials]
    return marked(pd.DataFrame(rows))


def panels(maps: pd.DataFrame, manifest: pd.DataFrame, *of: str, **more: str) -> list[Panel]:
    """The panels of these maps."""
    return field_panels.panels(field_panels.means(maps, manifest, *of, **more))


def study(widths: tuple[int, ...] = (8, 16)) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Maps and manifest of base and damped models, two seeds each."""
    trials = [
        trial(seed=s, network__width=w, network__damping=d)
        for d in (0.0, 0.99)
        for w in widths
        for s in range(2)
    ]
    maps = [record(t, spot(2.0 if t.network.damping else 8.0, scale=1 + t.seed)) for t in trials]
    return pd.DataFrame(maps), planned(*trials)


def texts(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.findobj(matplotlib.text.Text) if t.get_text()]


def maps_of(figure: Figure) -> list[matplotlib.axes.Axes]:
    return [axes for axes in figure.axes if axes.images]


def test_columns_are_those_of_the_records():
    assert {*record(trial(), spot(1))} == {*SCHEMAS["maps"].names}


def test_seeds_and_folds_of_a_model_are_one_panel_with_equal_weights():
    runs = [trial(seed=s, split__fold=f) for s in range(2) for f in (1, 2)]
    spots = [spot(4, scale=1.0), spot(8, scale=1e-9), spot(4, scale=30.0), spot(8, scale=5.0)]
    maps = pd.DataFrame(
        record(run, values, sigma_f=float(k))
        for k, (run, values) in enumerate(zip(runs, spots, strict=True))
    )
    (panel,) = panels(maps, planned(*runs, side=201))
    assert panel.title == "cp_resnet\nW 8, D 1, K 1 (n = 4)"
    assert set(panel.trials) == {run.id for run in runs}
    expected = (spot(4) / spot(4).sum() + spot(8) / spot(8).sum()) / 2
    np.testing.assert_allclose(panel.values_FN, expected, rtol=1e-5, atol=1e-9)
    assert panel.numbers["sigma_f"] == pytest.approx(1.5)
    assert set(panel.numbers) == {*NUMBERS, *SQUARES}
    each = [squares(spot(sigma), CENTRE) for sigma in (4, 8)]
    for name in SQUARES:
        assert panel.numbers[name] == pytest.approx(sum(of[name] for of in each) / 2), name


def test_models_are_panels_in_order_of_family_and_size():
    maps, manifest = study((16, 8))
    made = panels(maps.sample(frac=1, random_state=0), manifest)
    assert [panel.title.replace("\n", ": ") for panel in made] == [
        "base: W 8, D 1, K 1 (n = 2)",
        "base: W 16, D 1, K 1 (n = 2)",
        "damped 0.99: W 8, D 1, K 1 (n = 2)",
        "damped 0.99: W 16, D 1, K 1 (n = 2)",
    ]


def test_families_are_those_of_the_drawn_trials():
    maps, manifest = study((8,))
    base = manifest.loc[manifest["network.damping"] == 0, "trial"]
    (panel,) = panels(maps[maps["trial"].isin(base)], manifest)
    assert panel.title.startswith("cp_resnet\n")


@pytest.mark.parametrize(
    ("centre", "side", "rows", "columns"),
    [
        ((24, 31), 41, (4, 44), (11, 51)),
        ((24, 31), 51, (0, 49), (6, 56)),  # clipped at the lowest band
        ((50, 60), 41, (30, 63), (40, 62)),  # at the highest and at the last frame
        ((24, 31), 201, (0, 63), (0, 62)),
        ((24.5, 31.5), 4, (23, 26), (30, 33)),
    ],
)
def test_crop_is_the_maximum_field(centre, side, rows, columns):
    numbered = np.arange(1.0, 1 + SIZE[0] * SIZE[1]).reshape(SIZE)
    maps = pd.DataFrame([record(trial(), numbered, row=centre[0], column=centre[1])])
    (panel,) = panels(maps, planned(trial(), side=side))
    assert panel.corner == (rows[0], columns[0])
    expected = numbered[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1]
    np.testing.assert_allclose(panel.values_FN * numbered.sum(), expected, rtol=1e-6)
    figure = draw([panel])
    left, right, bottom, top = maps_of(figure)[0].images[0].get_extent()
    assert (bottom, top) == (rows[0] - 0.5, rows[1] + 0.5)
    assert left == pytest.approx((columns[0] - 0.5 - centre[1]) * HOP)
    assert right == pytest.approx((columns[1] + 0.5 - centre[1]) * HOP)


def test_last_epoch_of_the_asked_kind_and_split_counts():
    ours = [
        record(trial(), spot(3), epoch=9, sigma_f=3.0),
        record(trial(), spot(4), epoch=2, sigma_f=4.0),
        record(trial(), spot(5), epoch=9, sigma_f=5.0, kind="logits"),
        record(trial(), spot(6), epoch=9, sigma_f=6.0, split="unseen"),
    ]
    maps = pd.DataFrame(ours)
    for kind, split, sigma in (("feature", "test", 3), ("logits", "test", 5)):
        (panel,) = panels(maps, planned(trial()), kind, split)
        assert panel.numbers["sigma_f"] == sigma
    (panel,) = panels(maps, planned(trial()), split="unseen")
    assert (panel.numbers["sigma_f"], panel.about) == (6, "feature, unseen clips")
    with pytest.raises(
        ValueError,
        match=r"^no map of class x on test to draw: there are feature on test, feature on unseen, "
        r"logits on test$",
    ):
        panels(maps, planned(trial()), kind="class x")
    with pytest.raises(ValueError, match=r"^no map of feature on test to draw: there are none$"):
        panels(maps[:0], planned(trial()))


def test_unplanned_trials_and_hidden_mass_are_said():
    maps = pd.DataFrame([record(trial(), spot(3))])
    with pytest.raises(ValueError, match=f"^map of {trial().id}: no manifest plans this trial"):
        panels(maps, planned(trial(seed=1)))
    with pytest.warns(UserWarning, match=r"^1 of 1 maps have mass outside .*as little as 0\.9800"):
        panels(maps.assign(inside=0.98), planned(trial()))


STFT = {"window": 2**16, "hop": 512, "mels": 40, "low": 50.0, "high": 9000.0}
OCTAVES = {"window": 0, "hop": 512, "mels": 40, "low": 110.0, "high": 0.0, "bins_per_octave": 8}


def peaks(features: Features, rate: int) -> NDArray[np.float64]:
    """The frequency that each filter of a front end lets pass most of, Hz."""
    if not features.constant_q:
        filters_FQ = plain.bands(features, rate)
        return filters_FQ.argmax(axis=1) * rate / spectra.fft_size(features)
    real_KT, imaginary_KT = frontends.build(features, rate).spectrum.kernels_2KT.numpy()  # type: ignore[union-attr,operator]
    spectra_KQ = np.abs(np.fft.fft(real_KT + 1j * imaginary_KT, n=2**17))
    return np.asarray(spectra_KQ[:, : 2**16].argmax(axis=1) * rate / 2**17)


@pytest.mark.parametrize(
    "features",
    [
        {"kind": "log_mel", **STFT},
        {"kind": "perceptual", **STFT, "low": 0.0},
        {"kind": "vggish", **STFT},
        {"kind": "gammatone", **STFT},
        {"kind": "cqt", **OCTAVES},
        {"kind": "vqt", **OCTAVES, "gamma": 20.0},
    ],
    ids=lambda features: features["kind"],
)
def test_bands_are_where_the_front_end_has_them(features):
    rate, of = 22_050, {f"sound__features__{name}": value for name, value in features.items()}
    one = trial(sound__rate=rate, sound__seconds=5, **of)
    found = peaks(one.sound.features, rate)
    (panel,) = panels(pd.DataFrame([record(one, spot(3))]), planned(one))
    assert [panel.bands.row(hz) for hz in found] == pytest.approx(list(range(40)), abs=0.03)
    assert found[0] < 1000 < found[-1]  # both branches of Slaney's scale
    (hertz,) = maps_of(draw([panel]))[0].child_axes
    for text, row in zip(hertz.get_yticklabels(), hertz.get_yticks(), strict=True):
        hz = float(text.get_text().replace("k", "e3"))
        assert row == pytest.approx(np.interp(hz, found, range(40)), abs=0.1)


def test_rows_are_named_after_the_front_end():
    cqt = {f"sound__features__{name}": value for name, value in OCTAVES.items()}
    trials = [trial(), trial(sound__features__kind="cqt", sound__seconds=2, **cqt)]
    maps = pd.DataFrame([record(one, spot(3)) for one in trials])
    for chosen, name in (([0], "Mel band"), ([1], "CQT bin"), ([0, 1], "Band")):
        of = [trials[k] for k in chosen]
        figure = draw(panels(maps.iloc[chosen], planned(*of)))
        assert maps_of(figure)[0].get_ylabel() == name


def test_bands_are_the_trials_own():
    limited = trial(sound__features__low=100, sound__features__high=4000)
    whole, part = Bands("log_mel", 64, 0, 8000, 12), Bands("log_mel", 64, 100, 4000, 12)
    for of, bands in ((trial(), whole), (limited, part)):
        (panel,) = panels(pd.DataFrame([record(of, spot(3))]), planned(of))
        assert (panel.bands, panel.hop) == (bands, HOP)


def test_axes_are_bands_hertz_and_seconds():
    figure = draw(panels(*study()))
    figure.canvas.draw()
    first = maps_of(figure)[0]
    assert first.get_ylabel() == "Mel band"
    assert first.get_xlabel().startswith("Time from the target (s)\n")
    (hertz,) = maps_of(figure)[-1].child_axes
    assert hertz.get_ylabel() == "Frequency (Hz)"
    labels = {
        t.get_text(): float(at)
        for t, at in zip(hertz.get_yticklabels(), hertz.get_yticks(), strict=True)
    }
    assert len(labels) >= 3
    assert {"1k", "2k"} & set(labels)
    for text, row in labels.items():
        hz = 1000 * float(text[:-1]) if text.endswith("k") else float(text)
        assert row == pytest.approx(Bands("log_mel", 64, 0, 8000, 12).row(hz))
        assert 3.5 <= row <= 44.5
    assert first.get_aspect() == pytest.approx(HOP)  # a band is as high as a frame is wide


def test_every_panel_says_its_numbers_and_n():
    maps, manifest = study()
    maps = maps.assign(sigma_f=17.06, sigma_t=25.2, f50=9, t50=21, f95=27, t95=75)
    maps = maps.assign(luo_side=59.24, participation=2576.4)
    made = panels(maps, manifest)
    for panel, place in zip(made, maps_of(draw(made)), strict=True):
        held = [panel.numbers[f"side{share}"] for share in (20, 30, 50, 99)]
        sides = "sides " + ", ".join(f"{side:.0f}" for side in held)
        assert place.get_title("left").endswith("(n = 2)")
        assert place.get_xlabel().splitlines()[-5:] == [
            "at most 41 × 41",
            "σ 17.1 × 25.2",
            "50 %: 9 × 21,  95 %: 27 × 75",
            sides,
            "Luo 59.2,  participation 2,576",
        ]


def test_log_scale_is_over_each_maximum_and_linear_is_shared():
    made = panels(*study((8,)))
    for scale in ("log", "linear"):
        images = [place.images[0] for place in maps_of(draw(made, scale))]
        assert len({(image.norm.vmin, image.norm.vmax) for image in images}) == 1
        for panel, image in zip(made, images, strict=True):
            shown, values = np.asarray(image.get_array()), panel.values_FN
            if scale == "log":
                assert (image.norm.vmin, image.norm.vmax) == (FLOOR, 1)
                np.testing.assert_allclose(shown, np.maximum(values / values.max(), FLOOR))
            else:
                assert image.norm.vmin == 0
                np.testing.assert_array_equal(shown, values)
        if scale == "linear":  # the narrow one is brighter than the wide one ever is
            assert made[0].values_FN.max() < images[0].norm.vmax <= made[1].values_FN.max()


def test_panels_share_axes_so_that_fields_compare():
    small, large = trial(network__depth=0), trial(network__depth=1)
    maps = pd.DataFrame([record(small, spot(2)), record(large, spot(4))])
    manifest = pd.concat([planned(small, side=21), planned(large, side=41)], ignore_index=True)
    places = maps_of(draw(panels(maps, manifest)))
    assert len({(*place.get_xlim(), *place.get_ylim()) for place in places}) == 1
    heights = [np.ptp(place.images[0].get_extent()[2:]) for place in places]
    assert heights == [21, 41]
    extent = places[1].images[0].get_extent()  # of the larger: all that there is to see
    assert (*places[0].get_xlim(), *places[0].get_ylim()) == pytest.approx(extent)
    assert places[0].images[0].origin == "lower"


def test_scaled_variants_are_cropped_to_the_smallest_maximum_field():
    """Figure 7: of a deep network's map only what a shallow one could see, with its own numbers."""
    small, large = trial(network__depth=0), trial(network__depth=1)
    maps = pd.DataFrame([record(small, spot(2)), record(large, spot(4))])
    manifest = pd.concat([planned(small, side=21), planned(large, side=41)], ignore_index=True)
    made = panels(maps, manifest)
    cut = cropped(made)
    assert [panel.values_FN.shape for panel in made] == [(21, 21), (41, 41)]
    assert [panel.values_FN.shape for panel in cut] == [(21, 21), (21, 21)]
    np.testing.assert_array_equal(cut[1].values_FN, made[1].values_FN[10:31, 10:31])
    assert [panel.most for panel in cut] == [21, 41]
    assert cut[1].numbers == made[1].numbers
    extents = [place.images[0].get_extent() for place in maps_of(draw(cut))]
    assert extents[0] == pytest.approx(extents[1])


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("number", [1, 3, 7, 20])
def test_draws_any_number_of_panels_to_a_file(number: int, scale: str, tmp_path: Path):
    trials = [trial(network__width=w) for w in range(1, number + 1)]
    maps = pd.DataFrame([record(t, spot(1.0 + t.network.width / 4)) for t in trials])
    made = panels(maps, planned(*trials))
    with matplotlib.rc_context():
        before = dict(matplotlib.rcParams)
        figure = draw(made, scale)
        figure.savefig(tmp_path / "a.png", dpi=60)
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "a.png").stat().st_size > 1000
    assert plt.get_fignums() == []
    places = maps_of(figure)
    assert len(places) == number
    _nothing_overlaps(figure, places)
    columns = math.ceil(number / math.ceil(number / 5))
    labelled = [k for k, p in enumerate(places) if p.xaxis.get_tick_params()["labelbottom"]]
    assert labelled == list(range(max(0, number - columns), number))


def _nothing_overlaps(figure: Figure, places: list[matplotlib.axes.Axes]) -> None:
    """Neither panels with all their text, nor they and the heading."""
    boxes = [place.get_tightbbox() for place in places]
    boxes += [text.get_window_extent() for text in figure.texts]
    for k, one in enumerate(boxes):
        assert one is not None
        assert one.x0 >= 0
        assert one.y0 >= 0
        for other in boxes[:k]:
            assert other is not None
            apart = one.x1 <= other.x0 + 1 or other.x1 <= one.x0 + 1
            assert apart or one.y1 <= other.y0 + 1 or other.y1 <= one.y0 + 1


def test_draw_refuses_in_one_line():
    made: list[Panel] = panels(*study((8,)))
    with pytest.raises(ValueError, match=r"^scale=logarithmic: one of linear, log$"):
        draw(made, "logarithmic")
    with pytest.raises(ValueError, match=r"^no panel to draw: give the maps of at least one trial"):
        draw([])


def test_the_target_is_marked_and_padding_is_hatched():
    """Only where a field reaches beyond its input, and the caption says so."""
    for side, hatched in ((41, False), (201, True)):
        one = trial()
        figure = draw(panels(pd.DataFrame([record(one, spot(4))]), planned(one, side=side)))
        (place,) = maps_of(figure)
        (cross,) = [line for line in place.lines if line.get_marker() == "+"]
        assert (list(cross.get_xdata()), list(cross.get_ydata())) == ([0], [CENTRE[0]])
        strips = [patch for patch in place.patches if patch.get_hatch()]
        assert bool(strips) == hatched
        said = " ".join(texts(figure)).replace("\n", " ")
        assert ("hatched: padding, outside the clip" in said) == hatched
        if hatched:  # outside the map on all sides, inside the axes
            left, right, bottom, top = place.images[0].get_extent()
            assert len(strips) == 4
            for strip in strips:
                box = strip.get_bbox()
                assert box.x1 <= left or box.x0 >= right or box.y1 <= bottom or box.y0 >= top
