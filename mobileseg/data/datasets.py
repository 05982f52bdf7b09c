"""All datasets, registered by importing this module."""

from mobileseg.data.base import Item, SegmentationDataset
from mobileseg.data.formats.ade20k import ADE20K
from mobileseg.data.formats.camvid import CamVid
from mobileseg.data.formats.cityscapes import Cityscapes
from mobileseg.data.formats.coco import CocoInstances
from mobileseg.data.formats.labelme import LabelmeInstances
from mobileseg.data.formats.listfile import Dataset
from mobileseg.data.formats.voc import PascalVOC
from mobileseg.data.formats.voc_instances import VocInstances
from mobileseg.data.instance_base import InstanceDataset

__all__ = [
    "ADE20K",
    "CamVid",
    "Cityscapes",
    "CocoInstances",
    "Dataset",
    "InstanceDataset",
    "Item",
    "LabelmeInstances",
    "PascalVOC",
    "SegmentationDataset",
    "VocInstances",
]
