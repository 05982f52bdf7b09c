"""Focal and edge-aware losses against NumPy from the formulas."""

import numpy as np
import paddle
import pytest

from mobileseg.semantic.losses_pixel import EdgeAwareLoss, FocalLoss, MultiClassFocalLoss, label_edges
from tests.semantic import loss_references as reference
from tests.semantic.loss_runs import WEIGHT, run

pytestmark = pytest.mark.both


@pytest.mark.parametrize("gamma", [0, 1.0, 2.0, 3.5])
@pytest.mark.parametrize("alpha", [1.0, 0.25, WEIGHT])
def test_focal_of_the_softmax(batch, alpha, gamma):
    expected = reference.multi_class_focal(*batch, alpha, gamma)
    assert run(MultiClassFocalLoss(alpha=alpha, gamma=gamma), batch) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.9, 0), (0.5, 1.0)])
def test_focal_of_sigmoids(batch, alpha, gamma):
    expected = reference.sigmoid_focal(*batch, alpha, gamma)
    assert run(FocalLoss(alpha=alpha, gamma=gamma), batch) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_edges_are_where_another_class_is_near(batch, radius):
    edges = label_edges(paddle.to_tensor(batch[1]), radius, 255).numpy()
    np.testing.assert_array_equal(edges, reference.edges(batch[1], radius))


def test_an_ignored_region_makes_no_edge():
    label = np.full((1, 5, 5), 2)
    label[0, :, 2] = 255
    assert not label_edges(paddle.to_tensor(label), 1, 255).numpy().any()


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize(("edge", "inner", "radius"), [(4.0, 1.0, 1), (1.0, 0.0, 1), (2.0, 0.5, 2)])
def test_edge_aware_cross_entropy(batch, edge, inner, radius, weight):
    loss = EdgeAwareLoss(edge_weight=edge, inner_weight=inner, radius=radius, weight=weight)
    expected = reference.edge_aware(*batch, edge, inner, radius, weight)
    assert run(loss, batch) == pytest.approx(expected, rel=1e-5)
