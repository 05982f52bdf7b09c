"""All datasets, registered by importing this module."""

from mobileseg.data.base import SegmentationDataset
from mobileseg.data.concat import Concat
from mobileseg.data.formats.ade20k import ADE20K
from mobileseg.data.formats.camvid import CamVid
from mobileseg.data.formats.cell_tracking import CellTracking
from mobileseg.data.formats.cityscapes import Cityscapes
from mobileseg.data.formats.coco import CocoInstances
from mobileseg.data.formats.coco_youtube_vis import CocoYouTubeVIS
from mobileseg.data.formats.davis import Davis
from mobileseg.data.formats.flying_chairs import FlyingChairs
from mobileseg.data.formats.labelme import LabelmeInstances
from mobileseg.data.formats.listed import (
    CHASEDB1,
    DRIVE,
    HRF,
    STARE,
    CocoStuff,
    MiniDeepGlobeRoadExtraction,
    OpticDiscSeg,
    PascalContext,
    PPHumanSeg14K,
)
from mobileseg.data.formats.listfile import Dataset
from mobileseg.data.formats.mots import Mots
from mobileseg.data.formats.penn_fudan import PennFudan
from mobileseg.data.formats.portraits import EG1800, SUPERVISELY
from mobileseg.data.formats.pssl import PSSLDataset
from mobileseg.data.formats.voc import PascalVOC
from mobileseg.data.formats.voc_instances import VocInstances
from mobileseg.data.formats.youtube_vis import YouTubeVIS
from mobileseg.data.instance_base import InstanceDataset
from mobileseg.data.items import Item
from mobileseg.data.mixed_clips import MixedClips
from mobileseg.data.pseudo_clips import PseudoClips
from mobileseg.data.video_base import Video, VideoDataset

__all__ = [
    "ADE20K",
    "CHASEDB1",
    "DRIVE",
    "EG1800",
    "HRF",
    "STARE",
    "SUPERVISELY",
    "CamVid",
    "CellTracking",
    "Cityscapes",
    "CocoInstances",
    "CocoStuff",
    "CocoYouTubeVIS",
    "Concat",
    "Dataset",
    "Davis",
    "FlyingChairs",
    "InstanceDataset",
    "Item",
    "LabelmeInstances",
    "MiniDeepGlobeRoadExtraction",
    "MixedClips",
    "Mots",
    "OpticDiscSeg",
    "PPHumanSeg14K",
    "PSSLDataset",
    "PascalContext",
    "PascalVOC",
    "PennFudan",
    "PseudoClips",
    "SegmentationDataset",
    "Video",
    "VideoDataset",
    "VocInstances",
    "YouTubeVIS",
]
