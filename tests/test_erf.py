"""scaling.receptive_field.gradients against published arithmetic, a Gaussian, a plain loop, and the
maximum field.
"""

import math
import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scaling.networks import Network
from scaling.networks.cost import Axis, Field, field
from scaling.networks.cp_resnet import CPResNet as Settings
from scaling.networks.modules.cp_resnet import CPResNetModule
from scaling.networks.modules.kernels import Convolution
from scaling.receptive_field import gradients as erf
from scaling.receptive_field.gradients import Numbers, Place

INPUT = (256, 431)  # 10 s at 22,050 Hz
SMALL = (160, 150)
# D, m (outermost factor of the damper), sigma_f, sigma_t, Luo side, f95, t95: derived beside the
# facts with another implementation, from constant positive weights 1/fan_in, averages for maxima
TABLE = [
    (1, 1.0, 17.06, 17.06, 59.24, 75, 75),
    (1, 0.1, 6.36, 9.87, 26.55, 27, 47),
    (1, 0.01, 4.81, 8.88, 25.20, 17, 41),
    (2, 1.0, 21.49, 21.49, 77.18, 89, 89),
    (2, 0.1, 7.22, 12.02, 29.48, 33, 59),
    (2, 0.01, 4.92, 10.69, 27.69, 17, 51),
    (3, 1.0, 25.15, 25.15, 91.48, 103, 103),
    (3, 0.1, 8.00, 13.84, 32.36, 39, 67),
    (3, 0.01, 5.03, 12.23, 29.48, 17, 61),
]


def settings(width: int, depth: int, pointwise: int, **others: object) -> Network:
    others = {"initialization": "he"} | others
    return Settings(width=width, depth=depth, pointwise=pointwise, **others)  # type: ignore[arg-type]


def build(network: Network, seed: int = 0) -> CPResNetModule:
    model = network.build(10, torch.Generator().manual_seed(seed))
    assert isinstance(model, CPResNetModule)
    return model


def noise(clips: int, size: tuple[int, int] = SMALL, seed: int = 0) -> Tensor:
    return torch.randn(clips, 1, *size, generator=torch.Generator().manual_seed(seed))


def calibrate(model: nn.Module, batch: Tensor) -> None:
    """Batch normalization's running statistics become those of this batch."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        model.train()(batch)


def placed(network: Network, found: erf.Map) -> Place:
    assert found.pixel is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        rows, columns = found.values_FN.shape
        return erf.place_of(field(network.layers(10)), found.pixel, (rows, columns))


def positive(network: Network) -> nn.Module:
    """Constant positive weights, no normalization."""
    model = build(network).double()
    for name, module in list(model.named_modules()):
        if isinstance(module, Convolution):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
        if isinstance(module, nn.BatchNorm2d):
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, nn.Identity())
    return model


@pytest.mark.parametrize(("depth", "m", "sigma_f", "sigma_t", "luo", "f95", "t95"), TABLE)
def test_table_of_the_facts(monkeypatch, depth, m, sigma_f, sigma_t, luo, f95, t95):
    average = nn.functional.avg_pool2d
    monkeypatch.setattr("scaling.networks.modules.cp_resnet.functional.max_pool2d", average)
    network = settings(1, depth, 1, damping=1 - m)
    model = positive(network)
    ones = torch.ones(1, 1, *INPUT, dtype=torch.float64)
    found = erf.effective_field(model, [ones], erf.target_of(model, "feature"))
    assert (found.pixel, found.clips) == ((7, 13), 1)
    told = erf.numbers(found.values_FN, placed(network, found))
    assert (told.row, told.column) == (120, 216)
    assert (told.sigma_f, told.sigma_t) == pytest.approx((sigma_f, sigma_t), abs=0.0055)
    assert told.luo_side == pytest.approx(luo, abs=0.005)
    assert (told.f95, told.t95) == (f95, t95)
    assert told.inside == 1


def gaussian(sigma_f: float, sigma_t: float, centre: tuple[int, int] = (150, 180)) -> np.ndarray:
    rows, columns = np.arange(301)[:, None] - centre[0], np.arange(401) - centre[1]
    return np.exp(-(rows**2) / (2 * sigma_f**2) - columns**2 / (2 * sigma_t**2))


EVERYWHERE = Place((150, 180), ((0, 300), (0, 400)))


@pytest.mark.parametrize(("sigma_f", "sigma_t"), [(12, 12), (8, 30), (20, 15.5)])
def test_gaussian(sigma_f, sigma_t):
    told = erf.numbers(gaussian(sigma_f, sigma_t), EVERYWHERE)
    assert told.luo_side**2 == pytest.approx(19.415 * sigma_f * sigma_t, rel=0.01)
    assert told.luo_side == pytest.approx(4.406 * math.sqrt(sigma_f * sigma_t), rel=0.01)
    assert (told.sigma_f, told.sigma_t) == pytest.approx((sigma_f, sigma_t), rel=1e-6)
    assert told.participation == pytest.approx(4 * math.pi * sigma_f * sigma_t, rel=1e-6)
    for width, sigma, deviations in (
        (told.f50, sigma_f, 2 * 0.67449),
        (told.t50, sigma_t, 2 * 0.67449),
        (told.f95, sigma_f, 4),
        (told.t95, sigma_t, 4),
    ):
        assert abs(width - deviations * sigma) <= 2


def test_widths_are_about_the_centre_and_deviations_about_the_mean():
    beside = erf.numbers(gaussian(10, 10, centre=(150, 200)), EVERYWHERE)
    at = erf.numbers(gaussian(10, 10), EVERYWHERE)
    assert beside.sigma_t == pytest.approx(at.sigma_t, rel=1e-9)
    assert beside.t50 == 2 * 20 + 1
    assert beside.f50 == at.f50


@pytest.mark.parametrize(
    ("values", "centre", "f50", "f95"),
    [
        ([0, 0, 1, 0, 0], 2, 1, 1),
        ([0, 1, 2, 1, 0], 2, 1, 3),  # half of it, exactly
        ([5, 2, 6, 2, 5], 2, 3, 5),  # half of it, but for rounding
        ([1, 1, 1, 1, 1], 2, 3, 5),
        ([0, 1, 1, 0], 1.5, 2, 2),  # an even field is centred between two pixels
        ([1, 1, 0, 0, 0], 0, 1, 3),  # at the edge
    ],
)
def test_widths_by_hand(values, centre, f50, f95):
    map_FN = np.array(values, float)[:, None]
    told = erf.numbers(map_FN, Place((centre, 0), ((0, 4), (0, 0))))
    assert (told.f50, told.f95, told.t50, told.t95) == (f50, f95, 1, 1)


def test_mass_outside_the_box_is_seen():
    map_FN = np.ones((4, 5))
    assert erf.numbers(map_FN, Place((1, 1), ((0, 1), (1, 3)))).inside == pytest.approx(6 / 20)
    assert erf.numbers(map_FN, Place((1, 1), ((0, 3), (0, 4)))).inside == 1


@pytest.mark.parametrize("scale", [1e-160, 1 / 3, 7.0, 1e200])
def test_no_number_depends_on_the_scale(scale):
    rough = gaussian(9, 14) * np.random.default_rng(0).uniform(size=(301, 401))
    rough[149:152, 179:182] = np.arange(9).reshape(3, 3) / 9
    plain, scaled = (erf.numbers(g, EVERYWHERE) for g in (rough, scale * rough))
    assert plain == pytest.approx(scaled, rel=1e-9)
    assert set(Numbers._fields[2:]) <= set(plain._asdict())


@pytest.mark.parametrize("kind", erf.KINDS)
@pytest.mark.parametrize(
    ("network", "size"),
    [
        (settings(2, 0, 0), (160, 170)),
        (settings(3, 1, 0), (200, 210)),
        (settings(2, 1, 2), (96, 300)),  # clipped along frequency
        (settings(2, 2, 1, damping=0.9), (250, 240)),
        (settings(2, 3, 1, initialization="fixup"), (64, 400)),
    ],
)
def test_zero_outside_the_maximum_field(network, size, kind):
    """Real networks in evaluation mode, maxima and all: not small outside, but zero."""
    model = build(network)
    with torch.no_grad():
        for module in model.modules():  # as after some training: nothing is exactly zero
            if isinstance(module, Convolution) and not module.weight.any():
                module.weight.normal_(0, 0.1, generator=torch.Generator().manual_seed(1))
    calibrate(model, noise(4, size))
    label = 3 if kind == "class" else None
    found = erf.effective_field(model, [noise(6, size)], erf.target_of(model, kind, label))
    place = placed(network, found)
    assert erf.numbers(found.values_FN, place).inside == 1
    (top, bottom), (left, right) = place.box
    outside = np.ones(size, bool)
    outside[top : bottom + 1, left : right + 1] = False
    assert outside.any()
    assert (found.values_FN[outside] == 0).all()
    if network.damping == 0:
        held = found.values_FN[top : bottom + 1, left : right + 1]
        assert (held.any(axis=1).mean(), held.any(axis=0).mean()) == pytest.approx((1, 1), abs=0.15)


def plain_map(model: nn.Module, batch: Tensor, middle: tuple[int, int]) -> np.ndarray:
    """The map clip by clip, with nothing clever about it."""
    model.eval()
    total = np.zeros(batch.shape[-2:])
    for clip in batch:
        x = clip[None].clone().requires_grad_()
        model(x).features_BCFN[0, :, middle[0], middle[1]].sum().backward()
        assert x.grad is not None
        total += x.grad[0].abs().sum(dim=0).double().numpy()
    return total / (len(batch) * batch.shape[1])


def test_batched_map_is_that_of_the_plain_loop():
    network = settings(3, 1, 1)
    model = network.build(10, torch.Generator().manual_seed(0), channels=2)
    batch = torch.randn(7, 2, *SMALL, generator=torch.Generator().manual_seed(2))
    calibrate(model, batch)
    target = erf.target_of(model, "feature")
    whole = erf.effective_field(model, [batch], target)
    parts = erf.effective_field(model, iter(batch.split(3)), target)
    assert whole.clips == parts.clips == 7
    assert whole.pixel == (4, 4)
    expected = plain_map(model, batch, (4, 4))
    for found in (whole, parts):
        assert found.values_FN.dtype == np.float64
        np.testing.assert_allclose(found.values_FN, expected, rtol=1e-4, atol=1e-6 * expected.max())


@pytest.mark.parametrize("kind", ["feature", "logits"])
@pytest.mark.parametrize(
    ("network", "size", "pixel"),
    [
        (settings(3, 0, 1), (200, 311), (5, 9)),
        (settings(3, 1, 1), (256, 216), (7, 6)),
        (settings(2, 1, 0, damping=0.9), (150, 330), (4, 10)),  # clipped along frequency
        (settings(2, 1, 0), (250, 260), (1, 14)),  # clipped at two edges
    ],
)
def test_cropped_map_is_the_whole_one(network, size, pixel, kind):
    model = build(network)
    calibrate(model, noise(4, size))
    target, seen = erf.target_of(model, kind), field(network.layers(10))
    whole = erf.effective_field(model, [noise(3, size)], lambda x: target(x)[:, :, *pixel])
    found = erf.effective_field(
        model, [noise(3, size)], erf.cropped(target, seen, pixel, size)
    ).values_FN
    assert found.shape == size
    np.testing.assert_allclose(found, whole.values_FN, rtol=2e-3, atol=2e-6 * whole.values_FN.max())
    with pytest.raises(ValueError, match=r"^an input of 9 x 8: this target was cropped from "):
        erf.effective_field(model, [noise(1, (9, 8))], erf.cropped(target, seen, pixel, size))


def test_model_is_left_as_it_was_found():
    model = build(settings(2, 1, 1)).train()
    model.stem_norm.eval()
    model.stem.weight.requires_grad_(False)
    model.classifier.weight.grad = torch.ones_like(model.classifier.weight)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    class Stop(Exception):
        pass

    def stopping(batch: Tensor) -> Tensor:
        assert not any(m.training for m in model.modules())
        assert not any(p.requires_grad for p in model.parameters())
        raise Stop

    erf.effective_field(model, [noise(2)], erf.target_of(model, "logits"))
    with pytest.raises(Stop):
        erf.effective_field(model, [noise(2)], stopping)
    assert {n for n, m in model.named_modules() if not m.training} == {"stem_norm"}
    learning = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert learning == {"stem.weight"}
    assert {n for n, p in model.named_parameters() if p.grad is not None} == {"classifier.weight"}
    assert (model.classifier.weight.grad == 1).all()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_works_wherever_it_is_called_from():
    model, batch = build(settings(2, 1, 1)), noise(2)
    target = erf.target_of(model, "feature")
    expected = erf.effective_field(model, [batch], target).values_FN
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert (erf.effective_field(model, [batch], target).values_FN == expected).all()
    with torch.inference_mode():
        made = batch.clone()
    assert (erf.effective_field(model, [made], target).values_FN == expected).all()
    with torch.inference_mode():
        assert (erf.effective_field(model, [made], target).values_FN == expected).all()
    assert not batch.requires_grad


def foreign() -> nn.Sequential:
    """Somebody's own model; what follows a layer works in place on its output."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.ReLU(inplace=True),
        nn.Conv2d(1, 4, 3, padding=1),
        nn.Hardtanh(-0.1, 0.1, inplace=True),
        nn.Conv2d(4, 3, 5, padding=2),
        nn.Hardtanh(-0.05, 0.05, inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(3, 2),
    )


@pytest.mark.parametrize(("module", "side"), [("1", 3), ("3", 7)])
def test_any_torch_model(module, side):
    model, batch = foreign(), noise(5, (21, 30)).abs()
    kept = batch.clone()
    found = erf.effective_field(model, [batch], erf.output_of(model, module))
    assert torch.equal(batch, kept)
    assert found.pixel == (10, 15)
    place = erf.place_of(Field(Axis(side, 1, 0.0), Axis(side, 1, 0.0)), found.pixel, (21, 30))
    assert erf.numbers(found.values_FN, place).inside == 1
    if module == "1":  # linear behind the positive input: the sum of the kernels, turned around
        layer = model[1]
        assert isinstance(layer, nn.Conv2d)
        expected = layer.weight.detach().sum(dim=0)[0].abs().double().numpy()
        np.testing.assert_allclose(found.values_FN[9:12, 14:17], expected, rtol=1e-5)


def test_pooled_outputs_are_summed():
    model, batch = foreign(), noise(3, (21, 30)).abs()
    whole = erf.effective_field(model, [batch], model)
    assert whole.pixel is None
    assert (whole.values_FN > 0).mean() > 0.9
    by_hand = erf.effective_field(model, [batch], lambda x: model(x).sum(dim=1))
    np.testing.assert_allclose(whole.values_FN, by_hand.values_FN, rtol=1e-5)
    without_channels = erf.effective_field(model, [batch[:, 0]], lambda x: model(x[:, None]))
    np.testing.assert_allclose(whole.values_FN, without_channels.values_FN, rtol=1e-5)


def test_targets_of_our_networks():
    model, batch = build(settings(3, 1, 1)).eval(), noise(2)
    output = model(batch)
    assert torch.equal(erf.target_of(model, "feature")(batch), output.features_BCFN)
    scores = erf.target_of(model, "logits")(batch)
    assert scores.shape == (2, 10, 9, 9)
    torch.testing.assert_close(scores.mean(dim=(2, 3)), output.logits_BY)
    assert torch.equal(erf.target_of(model, "class", 0)(batch), scores[:, :1])
    assert torch.equal(erf.target_of(model, "class", 9)(batch), scores[:, 9:])
    del model.classifier_norm
    model.forward = lambda _: output  # type: ignore[method-assign]
    assert erf.target_of(model, "logits")(batch) is output.logits_BY


def test_damping_narrows_frequency_and_leaves_time():
    """The facts' real networks (W = 16): sigma_f 25.7, 9.5, 5.4; sigma_t 25.8, 24.9, 25.5."""
    told = []
    for damping in (0.0, 0.9, 0.99):
        network = settings(8, 1, 1, damping=damping)
        model = build(network)
        calibrate(model, noise(4, INPUT, seed=1))
        found = erf.effective_field(model, [noise(4, INPUT)], erf.target_of(model, "feature"))
        told.append(erf.numbers(found.values_FN, placed(network, found)))
    assert all(wide.sigma_f > 1.3 * narrow.sigma_f for wide, narrow in pairwise(told))
    assert all(wide.f95 > narrow.f95 for wide, narrow in pairwise(told))
    assert [t.sigma_t for t in told] == pytest.approx([told[0].sigma_t] * 3, rel=0.12)
    assert (told[0].sigma_f, told[2].sigma_f) == pytest.approx((25.7, 5.4), rel=0.1)


@pytest.mark.parametrize(
    ("depth", "rows", "columns"), [(1, (37, 203), (133, 299)), (2, (5, 235), (101, 331))]
)
def test_place_of_a_field_that_fits(depth, rows, columns):
    whole = field(settings(8, depth, 1).layers(10))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert erf.place_of(whole, (7, 13), INPUT) == Place((120, 216), (rows, columns))


def test_a_clipped_field_warns():
    whole = field(settings(8, 3, 1).layers(10))
    with pytest.warns(
        UserWarning,
        match=r"^the maximum field of 295 x 295 pixels reaches beyond the input of 256 mel bands x "
        r"431 frames: its ERF is clipped to 256 x 295$",
    ):
        place = erf.place_of(whole, (7, 13), INPUT)
    assert place == Place((120, 216), ((0, 255), (69, 363)))


def test_place_of_a_rectangular_field():
    """Fields and steps may differ from axis to axis; even sides are centred between two pixels."""
    whole = Field(rows=Axis(14, 2, 6.5), columns=Axis(32, 4, 15.5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        place = erf.place_of(whole, (3, 2), (20, 50))
    assert place == Place((12.5, 23.5), ((6, 19), (8, 39)))
    with pytest.warns(UserWarning, match=r"of 14 x 32 pixels .* of 20 mel bands x 39 .* 14 x 31$"):
        erf.place_of(whole, (3, 2), (20, 39))


@pytest.mark.parametrize(
    ("batches", "target", "line"),
    [
        ([], None, "^no clip to compute an ERF map of"),
        (
            [noise(2, (32, 32)), noise(2, (32, 40))],
            None,
            "^inputs of 32 x 32 and of 32 x 40: ",
        ),
        ([torch.zeros(3, 5)], None, r"^a batch of shape \(3, 5\): an ERF map needs"),
        ([noise(2)], lambda x: x[:, 0], r"^a target of shape \(2, 160, 150\) for 2 clips: it must"),
        ([noise(2)], lambda x: x[:1], r"^a target of shape \(1, 1, 160, 150\) for 2 clips"),
        ([noise(2)], lambda x: torch.ones(2), "^the target does not depend on the input: it must"),
        ([noise(2)], lambda x: 0 * x, "^the ERF map is zero everywhere.*take kind=feature"),
        ([noise(2)], lambda x: x * float("nan"), "^the ERF map is not finite"),
    ],
)
def test_errors_of_the_map(batches, target, line):
    with pytest.raises(ValueError, match=line):
        erf.effective_field(nn.Identity(), batches, target or (lambda x: x))


def test_an_untrained_fixup_network_has_no_map_of_logits():
    model = build(settings(2, 1, 1, initialization="fixup"))
    with pytest.raises(ValueError, match=r"^the ERF map is zero everywhere"):
        erf.effective_field(model, [noise(1)], erf.target_of(model, "logits"))
    assert erf.effective_field(model, [noise(1)], erf.target_of(model, "feature")).clips == 1


def test_errors_of_targets_and_numbers():
    model = build(settings(2, 1, 1))
    with pytest.raises(ValueError, match=r"^kind=features must be one of feature, logits, class$"):
        erf.target_of(model, "features")
    for kind, label in (("class", None), ("logits", 3)):
        with pytest.raises(
            ValueError, match=f"^kind={kind} with label={label}: kind=class, and no"
        ):
            erf.target_of(model, kind, label)
    for label in (-1, 10):
        with pytest.raises(ValueError, match=f"^label={label}: this network has classes 0 to 9$"):
            erf.target_of(model, "class", label)(noise(1))
    with pytest.raises(ValueError, match=r"did you mean classifier_norm\?"):
        erf.output_of(model, "clasifier_norm")
    model.add_module("spare", nn.Identity())
    with pytest.raises(ValueError, match=r"^module 'spare' did not run: name one"):
        erf.output_of(model, "spare")(noise(1))
    with pytest.raises(ValueError, match=r"^module '' puts out a Output: name one"):
        erf.output_of(model, "")(noise(1))
    for values, line in ((0.0, "zero everywhere"), (np.inf, "not finite"), (np.nan, "not finite")):
        with pytest.raises(ValueError, match=f"^the ERF map is {line}"):
            erf.numbers(np.full((3, 3), values), EVERYWHERE)
