"""Names that networks, exported graphs and runtimes share; this module needs no Paddle."""

IMAGE = "x"
"""Name of the tensor that an image becomes."""

MAIN = "main"
"""The pipeline of a network that sees one image at a time, and its only graph."""
