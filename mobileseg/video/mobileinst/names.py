"""Names of MobileInst's graphs and tensors; this module needs no Paddle."""

FEATURES, INSTANCES = "features", "instances"
"""Graphs: backbone and mask decoder, and the instance decoder."""

MASK_FEATURES = "mask_features"
MAPS = ("global_map", "local_map")
"""What queries look at."""

ANSWERS = ("kernels", "logits", "objectness")
"""What the graph of the instances gives."""

CELL_CLASSES = "cell_classes"
"""Which classes every cell of the local map shows: an output of networks in training, and its loss."""
