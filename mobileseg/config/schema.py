"""The structure of a configuration: every key, its type, its default, its meaning.

Components (``model``, datasets, transforms, losses) are open here: their arguments are written once,
in the constructors, and checked against those by :mod:`mobileseg.config.components`. Everything
else is closed. Nothing in this module needs Paddle.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from mobileseg.config.schema_base import Component, Count, NotNegative, Positive, Section, Size
from mobileseg.config.schema_compress import Compress, Sparsity
from mobileseg.config.schema_distill import Distill
from mobileseg.instance.options import DetectionOptions

TARGETS = ("paddle", "onnx", "lite_arm", "lite_x86", "ncnn", "torchscript")
Target: TypeAlias = Literal["paddle", "onnx", "lite_arm", "lite_x86", "ncnn", "torchscript"]


class Loss(Section):
    """The i-th loss belongs to the i-th output of the network; a criterion, such as YolactLoss, stands alone."""

    types: list[Component] = Field(min_length=1, description="losses, one per output of the network, or one criterion")
    coef: list[float] | None = Field(None, min_length=1, description="weight of each loss; a criterion has none")


class SGD(Section):
    """Stochastic gradient descent; the weight decay is added to the gradient (L2)."""

    type: Literal["SGD"]
    momentum: float = Field(0.0, ge=0, lt=1, description="momentum")
    use_nesterov: bool = Field(False, description="Nesterov's momentum")
    weight_decay: NotNegative = Field(0.0, description="L2 coefficient")


class AdamW(Section):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

    type: Literal["AdamW"]
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of the first moment")
    beta2: float = Field(0.999, ge=0, lt=1, description="decay of the second moment")
    epsilon: Positive = Field(1e-8, description="added to the denominator")
    weight_decay: NotNegative = Field(0.01, description="decoupled coefficient")


class Schedule(Section):
    """What all learning-rate schedules share."""

    learning_rate: NotNegative = Field(description="rate after the warm-up")
    warmup_iters: int = Field(0, ge=0, description="iterations of the linear warm-up")
    warmup_start_lr: NotNegative = Field(0.0, description="rate at iteration 0 of the warm-up")


class PolynomialDecay(Schedule):
    """(learning_rate - end_lr) * (1 - t / decay_steps) ** power + end_lr."""

    type: Literal["PolynomialDecay"]
    end_lr: NotNegative = Field(0.0, description="final rate")
    power: Positive = Field(0.9, description="exponent")
    decay_steps: Count | None = Field(None, description="length; null: iters - warmup_iters")


class CosineDecay(Schedule):
    """Half a cosine from learning_rate to end_lr."""

    type: Literal["CosineDecay"]
    end_lr: NotNegative = Field(0.0, description="final rate")
    decay_steps: Count | None = Field(None, description="length; null: iters - warmup_iters")


class StepDecay(Schedule):
    """The rate is multiplied by gamma every step_size iterations."""

    type: Literal["StepDecay"]
    step_size: Count = Field(description="iterations between two steps")
    gamma: Positive = Field(0.1, description="factor of a step")


class MultiStepDecay(Schedule):
    """The rate is multiplied by gamma at each milestone."""

    type: Literal["MultiStepDecay"]
    milestones: list[Count] = Field(min_length=1, description="iterations, rising")
    gamma: Positive = Field(0.1, description="factor of a step")


class Clip(Section):
    """Gradient clipping by the global norm."""

    norm: Positive = Field(description="largest global norm of the gradients")


class Amp(Section):
    """Mixed precision; needs a GPU."""

    dtype: Literal["float16", "bfloat16"] = Field("float16", description="number format")
    level: Literal["O1", "O2"] = Field("O1", description="O1: casts per operator; O2: weights are cast too")
    init_loss_scaling: Positive = Field(32768.0, description="first loss scale of float16")


class Ema(Section):
    """Exponential moving average of the weights, used for evaluation."""

    decay: float = Field(0.999, gt=0, lt=1, description="weight of the past")


class ParamGroup(Section):
    """Parameters whose names match get their own learning rate and weight decay; the first match wins."""

    match: str = Field(min_length=1, description="fnmatch pattern of parameter names")
    lr_mult: NotNegative = Field(1.0, description="factor of the learning rate")
    weight_decay: NotNegative | None = Field(None, description="null: the optimizer's")


class EarlyStop(Section):
    """Stop when the metric has not improved."""

    patience: Count = Field(description="evaluations without improvement")


class TestConfig(Section):
    """How the network is evaluated."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

    aug_eval: bool = Field(False, description="average over scales and flips")
    flip_horizontal: bool = Field(True, description="with aug_eval: mirror left-right")
    flip_vertical: bool = Field(False, description="with aug_eval: mirror top-bottom")
    scales: list[Positive] = Field([1.0], min_length=1, description="with aug_eval: scales of the image")
    is_slide: bool = Field(False, description="sliding window")
    crop_size: Size | None = Field(None, description="with is_slide: window [width, height]")
    stride: Size | None = Field(None, description="with is_slide: step [x, y]")


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
    output_op: Literal["argmax", "softmax", "none"] = Field("argmax", description="last operator")
    dynamic: bool = Field(False, description="height and width stay open")
    normalize_in_graph: bool = Field(False, description="mean and std inside the graph")
    input_dtype: Literal["float32", "uint8"] = Field("float32", description="uint8 needs normalize_in_graph")
    layout: Literal["NCHW", "NHWC"] = Field("NCHW", description="order of the input's dimensions")
    output_size: ImageSize | None = Field(None, description="size of the result inside the graph; null: the input's")
    opset: int = Field(13, ge=11, le=17, description="ONNX operator set")
    nms_in_graph: bool = Field(False, description="a graph that detects ends after a greedy suppression")


OptimizerSection: TypeAlias = Annotated[SGD | AdamW, Field(discriminator="type")]
ScheduleSection: TypeAlias = Annotated[
    PolynomialDecay | CosineDecay | StepDecay | MultiStepDecay, Field(discriminator="type")
]
OPTIMIZERS: dict[str, type[Section]] = {"SGD": SGD, "AdamW": AdamW}
SCHEDULES: dict[str, type[Section]] = {
    cls.__name__: cls for cls in (PolynomialDecay, CosineDecay, StepDecay, MultiStepDecay)
}


class Schema(Section):
    """A whole configuration, defaults filled in."""

    batch_size: Count = Field(4, description="images per process and step")
    iters: Count = Field(1000, description="training iterations")
    seed: int = Field(0, ge=0, description="seed of everything random")
    num_workers: int = Field(2, ge=0, description="processes that load data; 0: load in the training process")
    plugins: list[str] = Field([], description="Python files that register components")
    train_dataset: Component | None = Field(None, description="dataset for training")
    val_dataset: Component | None = Field(None, description="dataset for evaluation")
    model: Component | None = Field(None, description="network with its backbone")
    loss: Loss | None = Field(None, description="losses and their weights")
    optimizer: OptimizerSection | None = Field(None, description="optimizer")
    lr_scheduler: ScheduleSection | None = Field(None, description="learning-rate schedule, stepped every iteration")
    save_interval: Count = Field(1000, description="iterations between two checkpoints")
    keep_checkpoint_max: int = Field(3, ge=0, description="checkpoints kept besides best and last")
    log_iters: Count = Field(10, description="iterations between two log lines")
    eval_interval: Count | None = Field(None, description="iterations between two evaluations; null: save_interval")
    accumulate: Count = Field(1, description="batches per optimizer step")
    clip: Clip | None = Field(None, description="gradient clipping")
    amp: Amp | None = Field(None, description="mixed precision (needs a GPU)")
    ema: Ema | None = Field(None, description="moving average of the weights")
    freeze: list[Annotated[str, Field(min_length=1)]] = Field(
        [], description="patterns of parameters to freeze; norm:* is all batch norms"
    )
    param_groups: list[ParamGroup] = Field([], description="learning rate and weight decay per parameter group")
    early_stop: EarlyStop | None = Field(None, description="stop without improvement")
    test_config: TestConfig = Field(default_factory=lambda: TestConfig.model_validate({}), description="evaluation")
    detection: DetectionOptions = Field(
        default_factory=DetectionOptions, description="instance networks: from raw predictions to instances"
    )
    export: Export = Field(
        default_factory=lambda: Export.model_validate({}), description="defaults of the export command"
    )
    distill: Distill | None = Field(None, description="a trained network that is imitated besides the labels")
    sparsity: Sparsity | None = Field(None, description="scales of norms are pressed to zero while training")
    compress: Compress = Field(
        default_factory=lambda: Compress.model_validate({}), description="settings of the compress command"
    )
