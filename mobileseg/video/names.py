"""Names of graphs, pipelines and tensors of video networks; this module needs no Paddle."""

STEM, DEEP, FLOW, HEADS = "stem", "deep", "flow", "heads"
"""Graphs of a network whose features move along a flow."""

KEY, NONKEY = "key", "nonkey"
"""Pipelines: of a frame that is computed whole, and of one that builds on the latest of those."""

LEVELS = ("level3", "level4", "level5")
"""Sums of the pyramid's first phase, finest first."""

OUTPUTS = ("loc", "conf", "mask", "proto")
"""What the graph of the heads gives."""

BETWEEN = {STEM: ("feature", "lateral", "reduced"), DEEP: LEVELS, FLOW: LEVELS}
"""What the other graphs give, for each other."""
