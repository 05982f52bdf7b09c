"""The structure of a configuration: every key, its type, its default, its meaning.

Components (``model``, datasets, transforms, losses) are open here: their arguments are written once,
in the constructors, and checked against those by :mod:`mobileseg.config.components`. Everything
else is closed. Nothing in this module needs Paddle.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from mobileseg.config.schema_base import Component, Count, Positive, Section, Size
from mobileseg.config.schema_compress import Compress, SparsitySection
from mobileseg.config.schema_distill import Distill
from mobileseg.config.schema_optimizers import Clip, OptimizerSection, ParamGroup
from mobileseg.config.schema_schedules import ScheduleSection
from mobileseg.config.schema_video import VideoSection
from mobileseg.instance.options import DetectionOptions
from mobileseg.video.keyframes import KeyframeOptions
from mobileseg.video.mobileinst.options import KernelOptions, QueryOptions

TARGETS = ("paddle", "onnx", "lite_arm", "lite_x86", "ncnn", "torchscript")
Target: TypeAlias = Literal["paddle", "onnx", "lite_arm", "lite_x86", "ncnn", "torchscript"]


class Loss(Section):
    """The i-th loss belongs to the i-th output of the network; a criterion, such as YolactLoss, stands alone."""

    types: list[Component] = Field(min_length=1, description="losses, one per output of the network, or one criterion")
    coef: list[float] | None = Field(None, min_length=1, description="weight of each loss; a criterion has none")


class Amp(Section):
    """Mixed precision; needs a GPU."""

    dtype: Literal["float16", "bfloat16"] = Field("float16", description="number format")
    level: Literal["O1", "O2"] = Field("O1", description="O1: casts per operator; O2: weights are cast too")
    init_loss_scaling: Positive = Field(32768.0, description="first loss scale of float16")


class Ema(Section):
    """Exponential moving average of the weights, used for evaluation."""

    decay: float = Field(0.999, gt=0, lt=1, description="weight of the past")


class MultiScale(Section):
    """Every training batch is resized to one of several sizes, drawn by seed and number of the batch."""

    sizes: list[Size] = Field(min_length=1, description="sizes [width, height], each drawn equally often")


class EarlyStop(Section):
    """Stop when the metric has not improved."""

    patience: Count = Field(description="evaluations without improvement")


class TestConfig(Section):
    """How the network is evaluated."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

    aug_eval: bool = Field(False, description="test-time augmentation: average over scales and flips")
    flip_horizontal: bool = Field(True, description="with aug_eval: mirror left-right")
    flip_vertical: bool = Field(False, description="with aug_eval: mirror top-bottom")
    scales: list[Positive] = Field([1.0], min_length=1, description="with aug_eval: scales of the image")
    is_slide: bool = Field(False, description="sliding window")
    crop_size: Size | None = Field(None, description="with is_slide: window [width, height]")
    stride: Size | None = Field(None, description="with is_slide: step [x, y]")
    auc_roc: bool = Field(False, description="val: also the area under the ROC curve of every class")


class ImageSize(Section):
    """Pixels of a fixed input."""

    height: Count = Field(description="rows")
    width: Count = Field(description="columns")


class Export(Section):
    """Defaults of the export command."""

    size: ImageSize | None = Field(None, description="input size; null: given on the command line")
    targets: list[Target] | None = Field(
        None, min_length=1, description="graphs to write; null: all whose converter is installed, but torchscript"
    )
    output_op: Literal["labels", "probabilities", "argmax", "softmax", "none"] = Field(
        "labels", description="result of the fastest form of each target, or the last operator of every graph"
    )
    dynamic: bool = Field(False, description="height and width stay open")
    normalize_in_graph: bool = Field(False, description="mean and std inside the graph")
    input_dtype: Literal["float32", "uint8"] = Field("float32", description="uint8 needs normalize_in_graph")
    layout: Literal["NCHW", "NHWC"] = Field("NCHW", description="order of the input's dimensions")
    output_size: ImageSize | None = Field(None, description="size of the result inside the graph; null: the input's")
    opset: int = Field(13, ge=11, le=17, description="ONNX operator set")
    nms_in_graph: bool = Field(False, description="graphs of instance segmentation models end with a greedy NMS")


class Schema(Section):
    """A whole configuration, defaults filled in."""

    batch_size: Count = Field(4, description="images per process and step")
    iters: Count = Field(1000, description="training iterations")
    seed: int = Field(0, ge=0, description="seed of everything random")
    num_workers: int = Field(2, ge=0, le=256, description="processes that load data; 0: load in the training process")
    plugins: list[str] = Field([], description="Python files that register components")
    train_dataset: Component | None = Field(None, description="dataset for training")
    val_dataset: Component | None = Field(None, description="dataset for evaluation")
    stills_dataset: Component | None = Field(
        None, description="video: still images that are trained on beside the frames"
    )
    model: Component | None = Field(None, description="network with its backbone")
    loss: Loss | None = Field(None, description="losses and their weights")
    optimizer: OptimizerSection | None = Field(None, description="optimizer")
    lr_scheduler: ScheduleSection | None = Field(None, description="learning-rate schedule, stepped every iteration")
    save_interval: Count = Field(1000, description="iterations between two checkpoints")
    keep_checkpoint_max: int = Field(3, ge=0, description="checkpoints kept besides best and last")
    log_iters: Count = Field(10, description="iterations between two log lines")
    eval_interval: Count | None = Field(None, description="iterations between two evaluations; null: save_interval")
    accumulate: Count = Field(1, description="batches per optimizer step")
    multi_scale: MultiScale | None = Field(None, description="batches of several sizes")
    clip: Clip | None = Field(None, description="gradient clipping")
    amp: Amp | None = Field(None, description="mixed precision (needs a GPU)")
    compiled_kernels: bool = Field(
        True, description="train on a CPU with the suite's own depthwise convolutions instead of Paddle's"
    )
    ema: Ema | None = Field(None, description="moving average of the weights")
    freeze: list[Annotated[str, Field(min_length=1)]] = Field(
        [], description="patterns of parameters to freeze; norm:* is all batch norms"
    )
    param_groups: list[ParamGroup] = Field([], description="learning rate and weight decay per parameter group")
    early_stop: EarlyStop | None = Field(None, description="stop without improvement")
    test_config: TestConfig = Field(default_factory=lambda: TestConfig.model_validate({}), description="evaluation")
    detection: DetectionOptions = Field(
        default_factory=DetectionOptions, description="instance segmentation: from raw predictions to instances"
    )
    keyframes: KeyframeOptions = Field(
        default_factory=KeyframeOptions, description="video: which frames are computed whole"
    )
    video: VideoSection = Field(
        default_factory=lambda: VideoSection.model_validate({}), description="video: stage of the training"
    )
    queries: QueryOptions = Field(
        default_factory=QueryOptions, description="video instance segmentation with queries: from answers to instances"
    )
    kernels: KernelOptions = Field(
        default_factory=KernelOptions, description="video instance segmentation with queries: kernels on their way"
    )
    export: Export = Field(
        default_factory=lambda: Export.model_validate({}), description="defaults of the export command"
    )
    distill: Distill | None = Field(None, description="a trained network that is imitated besides the labels")
    sparsity: SparsitySection | None = Field(None, description="scales of norms are pressed to zero while training")
    compress: Compress = Field(
        default_factory=lambda: Compress.model_validate({}), description="settings of the compress command"
    )
