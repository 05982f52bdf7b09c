"""MobileInst (Zhang et al., MobileInst: Video Instance Segmentation on the Mobile, AAAI 2024, arXiv:2303.17594).

Queries look at an image and become kernels; a kernel applied to the mask features of a frame is a mask. A kernel is
good for some frames after its own, so most frames of a stream need no queries at all.
"""
