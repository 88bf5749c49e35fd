import pytest
import torch

from scaling.networks.kernels import Convolution, damper


@pytest.mark.parametrize(
    ("kernel", "damping", "factors"),
    [
        (3, 0.99, [0.01, 1, 0.01]),
        (3, 0.9, [0.1, 1, 0.1]),
        (5, 0.99, [0.01, 0.505, 1, 0.505, 0.01]),
        (5, 0.9, [0.1, 0.55, 1, 0.55, 0.1]),
        (1, 0.99, [1]),
        (2, 0.99, [1, 1]),
        (3, 1.0, [0, 1, 0]),
        (3, 0.0, [1, 1, 1]),
    ],
)
def test_published_dampers(kernel: int, damping: float, factors: list[float]):
    assert damper(kernel, damping).squeeze(1).tolist() == pytest.approx(factors, abs=1e-6)


def test_damping_acts_along_frequency_only():
    layer = Convolution(2, 3, 3, damping=0.99)
    torch.nn.init.ones_(layer.weight)
    assert torch.allclose(layer.kernel[0, 0], torch.tensor([[0.01] * 3, [1.0] * 3, [0.01] * 3]))


def test_equals_a_plain_convolution_of_the_damped_kernel():
    layer = Convolution(2, 3, 5, stride=2, damping=0.9)
    torch.nn.init.normal_(layer.weight)
    x = torch.randn(4, 2, 20, 30)
    damped = layer.weight * damper(5, 0.9)
    assert torch.equal(layer(x), torch.nn.functional.conv2d(x, damped, stride=2, padding=1))


def test_gradient_is_damped_too():
    layer = Convolution(1, 1, 3, damping=1.0)
    torch.nn.init.normal_(layer.weight)
    layer(torch.randn(2, 1, 8, 8)).sum().backward()
    assert layer.weight.grad is not None
    assert (layer.weight.grad[0, 0, [0, 2]] == 0).all()
    assert (layer.weight.grad[0, 0, 1] != 0).all()


def test_undamped_layers_multiply_nothing():
    assert Convolution(2, 2, 1, damping=0.99).factor is None
    assert Convolution(2, 2, 3).factor is None


@pytest.mark.parametrize(("kernel", "padding"), [(1, 0), (3, 1), (5, 1)])
def test_padding_is_a_third(kernel: int, padding: int):
    assert Convolution(1, 1, kernel).padding == (padding, padding)
