"""A residual network for small images, after He et al., Deep Residual Learning (2015), section 4.2.

A 3 x 3 stem, stages of basic blocks that halve the image and double the channels, global average
pooling and a linear head.  With the defaults: ResNet-14, 175,258 parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Norm = Callable[[int], nn.Module]  # channels -> normalisation
Activation = Callable[[], nn.Module]


def _convolution(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the image's size at stride 1; the norm behind it has the bias."""
    return nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, bias=False)


class BasicBlock(nn.Module):
    """Two convolutions beside a skip: (batch, inputs, h, w) -> (batch, outputs, h/s, w/s)."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, norm: Norm, activation: Activation
    ) -> None:
        super().__init__()
        self.conv1 = _convolution(inputs, outputs, 3, stride)
        self.norm1 = norm(outputs)
        self.activation1 = activation()
        self.conv2 = _convolution(outputs, outputs, 3)
        self.norm2 = norm(outputs)
        # The skip is the identity wherever the shape stays, so that gradients pass untouched.
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.skip = nn.Sequential(_convolution(inputs, outputs, 1, stride), norm(outputs))
        self.activation2 = activation()

    def forward(self, x: Tensor) -> Tensor:
        """Activation of the skip and the two convolutions together."""
        y = self.activation1(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        out: Tensor = self.activation2(y + self.skip(x))
        return out


class ResNet(nn.Module):
    """Images (batch, channels, h, w) -> logits (batch, classes)."""

    def __init__(
        self,
        channels: int,
        classes: int,
        widths: Sequence[int],
        blocks: int,
        norm: Norm,
        activation: Activation,
        zero_init_residual: bool,
    ) -> None:
        super().__init__()
        self.zero_init_residual = zero_init_residual
        self.stem = nn.Sequential(_convolution(channels, widths[0], 3), norm(widths[0]))
        self.activation = activation()
        self.stages = nn.Sequential()
        inputs = widths[0]
        for number, width in enumerate(widths):
            stage = nn.Sequential()
            for block in range(blocks):
                stride = 2 if number > 0 and block == 0 else 1
                stage.append(BasicBlock(inputs, width, stride, norm, activation))
                inputs = width
            self.stages.append(stage)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(inputs, classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise all parameters as He et al. (2015) do.

        With ``zero_init_residual`` the last norm of every block starts at gamma 0, so that each
        block begins as its skip (Goyal et al., Accurate, Large Minibatch SGD, 2017, section 5.1).
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif module is not self:
                reset = getattr(module, "reset_parameters", None)
                if callable(reset):
                    reset()
        if self.zero_init_residual:
            for module in self.modules():
                if isinstance(module, BasicBlock):
                    gamma = getattr(module.norm2, "weight", None)
                    if isinstance(gamma, Tensor):  # a norm may have none
                        nn.init.zeros_(gamma)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of each image."""
        features = self.stages(self.activation(self.stem(x)))
        logits: Tensor = self.head(self.pool(features).flatten(1))
        return logits


def build_model(
    channels: int = 3,
    classes: int = 10,
    widths: Sequence[int] = (16, 32, 64),
    blocks: int = 2,
    norm: Norm = nn.BatchNorm2d,
    activation: Activation = nn.ReLU,
    zero_init_residual: bool = False,
) -> ResNet:
    """A freshly initialised model; ``norm`` and ``activation`` are classes to build it from."""
    return ResNet(channels, classes, widths, blocks, norm, activation, zero_init_residual)


def example_inputs(batch: int = 8, channels: int = 3, size: int = 32) -> tuple[Tensor]:
    """Arguments of one call of the model: standard normal images."""
    return (torch.randn(batch, channels, size, size),)


def loss(output: Tensor) -> Tensor:
    """Cross entropy against a fixed assignment of classes, for a backward pass to start from."""
    batch, classes = output.shape
    return F.cross_entropy(output, torch.arange(batch, device=output.device) % classes)
