"""Groups, freezing and the update rules against NumPy."""

import numpy as np
import paddle
import pytest

from mobileseg.config.schema_optimizers import OPTIMIZERS
from mobileseg.errors import ConfigError
from mobileseg.training.optim import (
    build_optimizer,
    create_accumulators,
    freeze,
    group_table,
    load_optimizer_arrays,
    optimizer_arrays,
    parameter_groups,
)
from mobileseg.training.schedule import Schedule

pytestmark = pytest.mark.both


class Net(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        no_decay = paddle.ParamAttr(regularizer=paddle.regularizer.L2Decay(0.0))
        slow = paddle.ParamAttr(learning_rate=0.5)
        self.backbone = paddle.nn.Sequential(
            paddle.nn.Conv2D(2, 3, 1, weight_attr=slow, bias_attr=False), paddle.nn.BatchNorm2D(3, weight_attr=no_decay)
        )
        self.legacy = paddle.nn.BatchNorm(3)
        self.head = paddle.nn.Conv2D(3, 2, 1)

    def forward(self, x):
        return self.head(self.legacy(self.backbone(x)))


def section(kind: str, **values):
    return OPTIMIZERS[kind](type=kind, **values).model_dump()


def optimizer_for(net, values, rules=()):
    groups = parameter_groups(net, values["weight_decay"], rules)
    schedule = Schedule(lambda t: 0.1 / (1 + t), 0.1)
    return build_optimizer(values, groups, schedule), groups, schedule


def names_by_group(groups):
    return {(group.lr_mult, group.weight_decay): group.names for group in groups}


def test_groups_from_attributes_and_rules():
    net = Net()
    rules = [{"match": "head.bias", "weight_decay": 0.0, "lr_mult": 2.0}, {"match": "head.*", "lr_mult": 10.0}]
    assert names_by_group(parameter_groups(net, 1e-3, rules)) == {
        (0.5, 1e-3): ["backbone.0.weight"],
        (1.0, 0.0): ["backbone.1.weight"],
        (1.0, 1e-3): ["backbone.1.bias", "legacy.weight", "legacy.bias"],
        (10.0, 1e-3): ["head.weight"],
        (2.0, 0.0): ["head.bias"],
    }


def test_rule_without_a_match_is_an_error():
    with pytest.raises(ConfigError, match="no trainable parameter is left for 'haed"):
        parameter_groups(Net(), 0.0, [{"match": "haed.*", "lr_mult": 2.0}])


def test_freezing_names_the_normalisations_and_the_table_shows_it():
    net = Net()
    norms = freeze(net, ["backbone.*", "legacy.weight"])
    assert norms == [net.backbone[1]]  # the bias of `legacy` is still trained
    groups = parameter_groups(net, 0.0)
    assert names_by_group(groups) == {(1.0, 0.0): ["legacy.bias", "head.weight", "head.bias"]}
    table = group_table(groups, net).splitlines()
    assert table[-1].split()[:4] == ["frozen", "-", "4", "15"]  # 6 + 3 + 3 + 3 weights; no running statistics
    freeze(net, ["legacy.*"])
    assert freeze(net, ["legacy.bias"]) == [net.backbone[1], net.legacy]


def test_freezing_all_normalisations_by_kind():
    net = Net()
    assert freeze(net, ["norm:*"]) == [net.backbone[1], net.legacy]
    groups = parameter_groups(net, 0.0)
    trained = {name for names in names_by_group(groups).values() for name in names}
    assert trained == {name for name, _ in net.named_parameters() if name.split(".")[-2] in ("0", "head")}
    net = Net()
    assert freeze(net, ["norm:backbone.*"]) == [net.backbone[1]]
    with pytest.raises(ConfigError, match="no batch normalisation matches 'norm:head") as caught:
        freeze(net, ["norm:head.*"])
    assert "backbone.1, legacy" in caught.value.remedy
    with pytest.raises(ConfigError, match=r"norm:\*") as caught:
        freeze(net.head, ["norm:*"])
    assert "has none" in caught.value.remedy


def test_everything_frozen():
    net = Net()
    freeze(net, ["*"])
    with pytest.raises(ConfigError, match="nothing to train"):
        parameter_groups(net, 0.0)


def test_decay_that_is_not_l2():
    layer = paddle.nn.Linear(2, 2, weight_attr=paddle.ParamAttr(regularizer=paddle.regularizer.L1Decay(0.1)))
    with pytest.raises(ConfigError, match="weight asks for L1Decay"):
        parameter_groups(layer, 0.0)


def steps(net, optimizer, schedule, count, seed=0):
    """Run steps with given gradients; returns the gradients by structured name."""
    rng = np.random.default_rng(seed)
    history = []
    for _ in range(count):
        gradients = {}
        terms = []
        for name, parameter in net.named_parameters():
            if not parameter.stop_gradient:
                gradients[name] = rng.normal(size=parameter.shape).astype(np.float32)
                terms.append((parameter * paddle.to_tensor(gradients[name])).sum())
        paddle.add_n(terms).backward()
        optimizer.step()
        optimizer.clear_grad(set_to_zero=False)
        schedule.step()
        history.append(gradients)
    return history


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_rule(nesterov):
    net = Net()
    rules = [{"match": "head.*", "lr_mult": 10.0, "weight_decay": 0.02}]
    optimizer, groups, schedule = optimizer_for(
        net, section("SGD", momentum=0.9, use_nesterov=nesterov, weight_decay=1e-2), rules
    )
    expected = {name: p.numpy().astype(np.float64) for name, p in net.named_parameters()}
    velocity = {name: np.zeros_like(value) for name, value in expected.items()}
    history = steps(net, optimizer, schedule, 4)
    for t, gradients in enumerate(history):
        for group in groups:
            for name in group.names:
                g = gradients[name] + group.weight_decay * expected[name]
                velocity[name] = 0.9 * velocity[name] + g
                change = g + 0.9 * velocity[name] if nesterov else velocity[name]
                expected[name] -= 0.1 / (1 + t) * group.lr_mult * change
    for name, parameter in net.named_parameters():
        np.testing.assert_allclose(parameter.numpy(), expected[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_adamw_rule():
    net = Net()
    rules = [{"match": "head.*", "lr_mult": 3.0, "weight_decay": 0.2}]
    optimizer, groups, schedule = optimizer_for(net, section("AdamW", weight_decay=1e-2), rules)
    expected = {name: p.numpy().astype(np.float64) for name, p in net.named_parameters()}
    m = {name: np.zeros_like(value) for name, value in expected.items()}
    v = {name: np.zeros_like(value) for name, value in expected.items()}
    history = steps(net, optimizer, schedule, 4)
    for t, gradients in enumerate(history):
        for group in groups:
            rate = 0.1 / (1 + t) * group.lr_mult
            for name in group.names:
                g = gradients[name].astype(np.float64)
                m[name] = 0.9 * m[name] + 0.1 * g
                v[name] = 0.999 * v[name] + 0.001 * g * g
                expected[name] *= 1 - rate * group.weight_decay
                corrected = np.sqrt(v[name] / (1 - 0.999 ** (t + 1))) + 1e-8
                expected[name] -= rate * m[name] / (1 - 0.9 ** (t + 1)) / corrected
    for name, parameter in net.named_parameters():
        np.testing.assert_allclose(parameter.numpy(), expected[name], rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("kind", ["SGD", "AdamW"])
def test_state_moves_to_another_network(kind):
    """Paddle's names of parameters and accumulators differ between the two; the structured ones do not."""
    values = section(kind, weight_decay=1e-2, **({"momentum": 0.9} if kind == "SGD" else {}))
    first, second = Net(), Net()
    one, one_groups, one_schedule = optimizer_for(first, values)
    two, two_groups, two_schedule = optimizer_for(second, values)
    steps(first, one, one_schedule, 3)
    arrays = optimizer_arrays(one, one_groups)
    assert all(name.split("/")[0] in dict(first.named_parameters()) for name in arrays)
    load_optimizer_arrays(two, two_groups, arrays)
    for name, tensor in second.state_dict().items():
        tensor.set_value(first.state_dict()[name])
    two_schedule.step(3)
    steps(first, one, one_schedule, 2, seed=5)
    steps(second, two, two_schedule, 2, seed=5)
    for name, tensor in second.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), first.state_dict()[name].numpy(), err_msg=name)


@pytest.mark.parametrize("kind", ["SGD", "AdamW"])
def test_a_parameter_without_gradient_has_its_state_from_the_start(kind):
    """Steps of which one leaves parameters out end alike, whether the state was moved between them or not."""
    values = section(kind, weight_decay=1e-2, **({"momentum": 0.9} if kind == "SGD" else {}))

    def step(net, optimizer, names):
        for name, parameter in net.named_parameters():
            if name in names:
                (parameter * paddle.full_like(parameter, 0.3)).sum().backward()
        optimizer.step()
        optimizer.clear_grad(set_to_zero=False)

    first, second = Net(), Net()
    one, one_groups, _ = optimizer_for(first, values)
    two, two_groups, _ = optimizer_for(second, values)
    names = [name for group in one_groups for name in group.names]
    create_accumulators(one, one_groups)
    before = {name: parameter.numpy() for name, parameter in first.named_parameters()}
    step(first, one, names[:1])
    assert [name for name, parameter in first.named_parameters() if (parameter.numpy() != before[name]).any()] == names[
        :1
    ]
    arrays = optimizer_arrays(one, one_groups)
    assert {key.split("/")[0] for key in arrays} == set(names)
    load_optimizer_arrays(two, two_groups, arrays)
    for name, tensor in second.state_dict().items():
        tensor.set_value(first.state_dict()[name])
    for net, optimizer in ((first, one), (second, two)):
        step(net, optimizer, names)
    for name, tensor in second.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), first.state_dict()[name].numpy(), err_msg=name)


def test_state_of_another_optimizer():
    net = Net()
    one, groups, schedule = optimizer_for(net, section("AdamW"))
    steps(net, one, schedule, 1)
    other = Net()
    two, other_groups, _ = optimizer_for(other, section("SGD", momentum=0.9))
    with pytest.raises(ConfigError, match="saved optimizer does not fit"):
        load_optimizer_arrays(two, other_groups, optimizer_arrays(one, groups))
