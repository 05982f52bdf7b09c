"""torchvision's networks written down as plain functions over a dictionary of its names.

An independent reference for the conversion of names: nothing of the suite is used. A parameter is made up at its
first use (seeded by its name), so one call gives both a complete state_dict and the features that belong to it.
"""

import zlib

import numpy as np
import paddle
from paddle.nn import functional as F


class TorchState(dict):
    """Arrays by PyTorch name, invented when first asked for."""

    def take(self, name, shape):
        if name not in self:
            uniform = np.random.RandomState(zlib.crc32(name.encode())).uniform(-1, 1, shape)
            entry = name.rsplit(".", 1)[-1]
            if entry == "running_var":
                uniform = 0.75 + 0.5 * np.abs(uniform)
            elif entry in ("bias", "running_mean"):
                uniform *= 0.1
            elif len(shape) == 1:
                uniform = 1 + 0.2 * uniform
            else:
                uniform *= np.sqrt(3 / np.prod(shape[1:]))
            self[name] = uniform.astype(np.float32)
        return paddle.to_tensor(self[name])

    def conv(self, name, x, out, kernel, stride=1, groups=1):
        weight = self.take(f"{name}.weight", (out, x.shape[1] // groups, kernel, kernel))
        return F.conv2d(x, weight, stride=stride, padding=kernel // 2, groups=groups)

    def norm(self, name, x):
        entries = [self.take(f"{name}.{e}", (x.shape[1],)) for e in ("running_mean", "running_var", "weight", "bias")]
        self[f"{name}.num_batches_tracked"] = np.array(1)
        return F.batch_norm(x, *entries, epsilon=1e-5)

    def linear(self, name, inputs, outputs):
        self.take(f"{name}.weight", (outputs, inputs))
        self.take(f"{name}.bias", (outputs,))


def mobilenetv2(state, x):
    """Features after the stages of strides 4, 8, 16, 32."""
    x = F.relu6(state.norm("features.0.1", state.conv("features.0.0", x, 32, 3, 2)))
    index, taps = 1, []
    for t, c, n, s in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for unit in range(n):
            y, part, stride = x, 0, s if unit == 0 else 1
            name = f"features.{index}.conv"
            if t != 1:
                y = F.relu6(state.norm(f"{name}.0.1", state.conv(f"{name}.0.0", y, y.shape[1] * t, 1)))
                part = 1
            width = y.shape[1]
            y = F.relu6(state.norm(f"{name}.{part}.1", state.conv(f"{name}.{part}.0", y, width, 3, stride, width)))
            y = state.norm(f"{name}.{part + 2}", state.conv(f"{name}.{part + 1}", y, c, 1))
            x = x + y if stride == 1 and x.shape[1] == c else y
            index += 1
        if c in (24, 32, 96, 320):
            taps.append(x)
    state.norm("features.18.1", state.conv("features.18.0", x, 1280, 1))
    state.linear("classifier.1", 1280, 1000)
    return taps


def mobilenetv2_timm_names(state):
    """The same arrays under the names of timm's ``mobilenetv2_100``."""
    renamed, index = {}, 1
    modules = {"features.0.0": "conv_stem", "features.0.1": "bn1", "features.18.0": "conv_head", "features.18.1": "bn2"}
    for stage, units in enumerate((1, 2, 3, 4, 3, 3, 1)):
        for unit in range(units):
            old, new = f"features.{index}.conv", f"blocks.{stage}.{unit}"
            if index == 1:
                pairs = (("0.0", "conv_dw"), ("0.1", "bn1"), ("1", "conv_pw"), ("2", "bn2"))
            else:
                pairs = (
                    ("0.0", "conv_pw"),
                    ("0.1", "bn1"),
                    ("1.0", "conv_dw"),
                    ("1.1", "bn2"),
                    ("2", "conv_pwl"),
                    ("3", "bn3"),
                )
            modules.update({f"{old}.{a}": f"{new}.{b}" for a, b in pairs})
            index += 1
    modules["classifier.1"] = "classifier"
    for name, array in state.items():
        module, entry = name.rsplit(".", 1)
        renamed[f"{modules[module]}.{entry}"] = array
    return renamed


def shufflenetv2(state, x):
    """Features of strides 4, 8, 16, 32 of the x1.0 network."""

    def branch(name, x, out, stride, down):
        y = F.relu(state.norm(f"{name}.1", state.conv(f"{name}.0", x, out, 1)))
        y = state.norm(f"{name}.4", state.conv(f"{name}.3", y, out, 3, stride, out))
        return F.relu(state.norm(f"{name}.6", state.conv(f"{name}.5", y, out, 1)))

    x = F.relu(state.norm("conv1.1", state.conv("conv1.0", x, 24, 3, 2)))
    x = F.max_pool2d(x, 3, 2, 1)
    taps = [x]
    for stage, units, channels in ((2, 4, 116), (3, 8, 232), (4, 4, 464)):
        half = channels // 2
        for unit in range(units):
            name = f"stage{stage}.{unit}"
            if unit == 0:
                y = state.norm(f"{name}.branch1.1", state.conv(f"{name}.branch1.0", x, x.shape[1], 3, 2, x.shape[1]))
                left = F.relu(state.norm(f"{name}.branch1.3", state.conv(f"{name}.branch1.2", y, half, 1)))
                right = branch(f"{name}.branch2", x, half, 2, True)
            else:
                left, right = x[:, :half], branch(f"{name}.branch2", x[:, half:], half, 1, False)
            both = paddle.stack([left, right], axis=2)  # shuffling two halves is interleaving them
            x = paddle.reshape(both, [x.shape[0], channels, *left.shape[2:]])
        taps.append(x)
    state.norm("conv5.1", state.conv("conv5.0", x, 1024, 1))
    state.linear("fc", 1024, 1000)
    return taps


def resnet(state, x, depth):
    """Features of layer1 to layer4."""
    units = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}[depth]
    x = F.relu(state.norm("bn1", state.conv("conv1", x, 64, 7, 2)))
    x = F.max_pool2d(x, 3, 2, 1)
    taps = []
    for stage, count in enumerate(units):
        width = 64 << stage
        for unit in range(count):
            name, stride = f"layer{stage + 1}.{unit}", 2 if stage and unit == 0 else 1
            if depth >= 50:
                plan = ((1, width, 1), (3, width, stride), (1, width * 4, 1))
            else:
                plan = ((3, width, stride), (3, width, 1))
            y = x
            for number, (kernel, out, step) in enumerate(plan, start=1):
                y = state.norm(f"{name}.bn{number}", state.conv(f"{name}.conv{number}", y, out, kernel, step))
                y = F.relu(y) if number < len(plan) else y
            if stride != 1 or x.shape[1] != y.shape[1]:
                x = state.norm(f"{name}.downsample.1", state.conv(f"{name}.downsample.0", x, y.shape[1], 1, stride))
            x = F.relu(x + y)
        taps.append(x)
    state.linear("fc", x.shape[1], 1000)
    return taps
