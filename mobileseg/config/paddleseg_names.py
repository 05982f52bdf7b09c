"""Names that the ``paddleseg`` package has and this suite has not: ``type: PPLiteSeg`` means ``paddleseg.PPLiteSeg``.

The names are written down, so that a configuration is read without importing the package (or Paddle) and an error can
say what is missing. A test compares them with the package.
"""

from __future__ import annotations

import logging
from typing import Any

from mobileseg.config.structure import components
from mobileseg.registry import BACKBONES, LOSSES, NETWORKS

logger = logging.getLogger(__name__)

PADDLESEG = "paddleseg."
"""``type: paddleseg.Name`` is a component of the ``paddleseg`` package."""

_NAMES = {
    "network": """
        ANN AttentionUNet BiSeNetV2 BiseNetV1 CCNet DANet DDRNet_23 DMNet DNLNet DecoupledSegNet DeepLabV3
        DeepLabV3P EMANet ENCNet ENet ESPNetV1 ESPNetV2 FCN FastFCN FastSCNN GCNet GINet GSCNN GloRe
        HRNetW48Contrast HarDNet ISANet KNet LPSNet LRASPP LinearSegmenter MLATransformer MaskFormer MaskSegmenter
        MscaleOCRNet OCRNet PFPNNet PPHumanSegLite PPLiteSeg PSPNet PointRend PortraitNet RTFormer SFNet
        SINet STDCSeg SegFormer SegNeXt SegNet SegmentationTransformer U2Net U2Netp UNet UNet3Plus
        UNetPlusPlus UPerNet UPerNetCAE UPerNetViTAdapter
    """,
    "backbone": """
        CAE CAE_base_patch16_224 CAE_base_patch16_384 CAE_base_patch32_384 CAE_huge_patch16_224 CAE_huge_patch32_384
        CAE_large_patch16_224 CAE_large_patch16_384 CAE_large_patch32_384 CAE_small_patch16_224 HRFormer_base
        HRFormer_base_win_13 HRFormer_base_win_15 HRFormer_small HRNet_W18 HRNet_W18_Small_V1 HRNet_W18_Small_V2
        HRNet_W30 HRNet_W32 HRNet_W40 HRNet_W44 HRNet_W48 HRNet_W60 HRNet_W64 MSCAN MSCAN_B MSCAN_L MSCAN_S MSCAN_T
        MixVisionTransformer_B0 MixVisionTransformer_B1 MixVisionTransformer_B2 MixVisionTransformer_B3
        MixVisionTransformer_B4 MixVisionTransformer_B5 ResNet152_vd STDC1 STDC2
        SwinTransformer SwinTransformer_base_patch4_window12_384 SwinTransformer_base_patch4_window7_224
        SwinTransformer_base_patch4_window7_384_maskformer SwinTransformer_large_patch4_window12_384
        SwinTransformer_large_patch4_window7_224 SwinTransformer_large_patch4_window7_384_maskformer
        SwinTransformer_small_patch4_window7_224 SwinTransformer_small_patch4_window7_224_maskformer
        SwinTransformer_tiny_patch4_window7_224 SwinTransformer_tiny_patch4_window7_224_maskformer
        UHRNet_W18 UHRNet_W18_Small UHRNet_W48
        ViTAdapter ViTAdapter_Tiny ViT_base_patch16_224 ViT_base_patch16_384 ViT_base_patch32_384
        ViT_huge_patch16_224 ViT_huge_patch32_384 ViT_large_patch16_224 ViT_large_patch16_384 ViT_large_patch32_384
        ViT_small_patch16_224 VisionTransformer Xception41_deeplab Xception65_deeplab Xception71_deeplab
    """,
    "loss": """
        BCELoss BootstrappedCrossEntropyLoss DetailAggregateLoss DistillCrossEntropyLoss DualTaskLoss
        EdgeAttentionLoss KLLoss L1Loss LovaszHingeLoss MSELoss MaskFormerLoss OhemEdgeAttentionLoss
        PixelContrastCrossEntropyLoss PointCrossEntropyLoss RMILoss RelaxBoundaryLoss SECrossEntropyLoss
        SemanticConnectivityLoss
    """,
}
NAMES = {kind: frozenset(text.split()) for kind, text in _NAMES.items()}
"""Kind of component -> names of the package that are not ours."""

_WITH_THEIR_BACKBONE = (f"{PADDLESEG}GSCNN", f"{PADDLESEG}SFNet")
_THEIR_BACKBONES = ("ResNet18_vd", "ResNet34_vd", "ResNet50_vd", "ResNet101_vd", "ResNet152_vd")
"""Networks that read what only the package's own form of these backbones keeps."""

_OURS = {"network": NETWORKS, "backbone": BACKBONES, "loss": LOSSES}


def resolve_names(data: dict[Any, Any]) -> None:
    """Write ``paddleseg.`` before names that only the package has, and say so in one line.

    What the suite or a plugin of the configuration registers wins over a name of the package.

    Args:
        data: a configuration whose structure is right; changed in place.
    """
    plugins = bool(data.get("plugins"))
    found: list[str] = []
    for _, kind, section in components(data):
        name = section.get("type") if isinstance(section, dict) else None
        if not isinstance(name, str) or name not in NAMES.get(kind, ()):
            continue
        # Only a plugin can have registered one of these names; without plugins the registries stay unloaded.
        if plugins and name in _OURS[kind]:
            continue
        section["type"] = PADDLESEG + name
        found.append(name)
    model = data.get("model")
    model = model if isinstance(model, dict) else {}
    backbone = model.get("backbone")
    if isinstance(backbone, dict) and model.get("type") in _WITH_THEIR_BACKBONE:
        name = backbone.get("type")
        if isinstance(name, str) and name in _THEIR_BACKBONES:
            backbone["type"] = PADDLESEG + name
            found.append(name)
    if found:
        logger.info("from the paddleseg package: %s", ", ".join(dict.fromkeys(found)))
