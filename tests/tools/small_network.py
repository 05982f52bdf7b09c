"""A network that is exported in seconds."""

CONFIG = """\
model:
  type: MobileSeg
  num_classes: 3
  backbone: {type: MobileNetV2_x0_25}
  cm_bin_sizes: [1, 2]
  cm_out_ch: 16
  arm_out_chs: [8, 8, 16]
  seg_head_inter_chs: [8, 8, 8]
"""
