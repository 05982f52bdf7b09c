"""Sections of a configuration that make networks smaller; nothing here needs Paddle."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mobileseg.config.schema_base import Count, NotNegative, Positive, Section, Share

Pattern = Annotated[str, Field(min_length=1)]


class SparsitySection(Section):
    """L1 on the scales of norms whose channels can be removed (Liu et al., 2017, arXiv:1708.06519)."""

    strength: Positive = Field(1e-4, description="added to the gradient of a scale, with the scale's sign")


class Phase(Section):
    """A training inside a recipe: the configuration's own, but for what is set here."""

    iters: Count = Field(description="iterations")
    learning_rate: Positive | None = Field(None, description="rate after the warm-up; null: the configuration's")
    warmup_iters: int | None = Field(None, ge=0, description="iterations of the warm-up; null: the configuration's")


class PruneLimits(Section):
    """What remains of every layer."""

    least: Count = Field(8, description="channels that remain at least")
    share: NotNegative = Field(0.1, le=1, description="share of the channels that remains at least")
    multiple: Count = Field(8, description="what remains is rounded up to a multiple of this")


class Prune(Section):
    """Removal of channels; see docs/compress.md."""

    method: Literal["norm", "taylor", "l1", "fpgm"] = Field(
        "norm", description="norm: scales of batch norms; taylor: scales and their gradients; l1, fpgm: kernels"
    )
    relative: bool = Field(False, description="with norm: scales are divided by their layer's mean")
    macs: Share | None = Field(None, description="share of the multiply-adds to remove")
    channels: Share | None = Field(None, description="share of the channels to remove, instead of macs")
    only: list[Pattern] | None = Field(
        None, min_length=1, description="patterns of the layers whose outputs may be removed; null: all"
    )
    limits: PruneLimits = Field(
        default_factory=lambda: PruneLimits.model_validate({}), description="what remains of a layer"
    )
    sparse: Phase | None = Field(None, description="training with sparsity before anything is removed")
    finetune: Phase | None = Field(None, description="training of what remains")
    mean_images: int = Field(
        32, ge=0, description="training images for what removed channels contributed; 0: their constants at scale 0"
    )
    recalibrate: int = Field(
        16, ge=0, description="training batches to measure the statistics of norms anew, after the removal; 0: none"
    )
    taylor_batches: Count = Field(16, description="training batches that taylor takes its gradients from")
    random: bool = Field(True, description="also remove as many channels of every layer at random, to compare")
    random_finetune: bool = Field(False, description="train what remains of the random one too")


class Sensitivity(Section):
    """How much the score drops when channels of one group of layers go."""

    ratios: list[Share] = Field([0.25, 0.5, 0.75], min_length=1, description="shares of the channels of a group")
    images: Count | None = Field(None, description="validation images to score with, evenly spaced; null: all")


class Measure(Section):
    """What the report measures."""

    engines: list[Pattern] = Field(["onnxruntime", "paddle"], description="engines for latency and memory")
    threads: Count = Field(1, description="threads of the engines")
    runs: Count = Field(30, description="timed runs of every variant")
    accuracy: bool = Field(True, description="score every variant on val_dataset")


class Quantize(Section):
    """Kernels in int8; see docs/quantize.md."""

    algorithm: Literal["avg", "KL", "hist", "mse"] = Field(
        "avg", description="how PaddleSlim takes the range of an activation from the images"
    )
    images: int = Field(64, ge=0, description="images to calibrate with, chosen so that every class is shown")
    dataset: Literal["train", "val"] = Field("train", description="part of the data that they are taken from")
    components: list[Pattern] | None = Field(
        None, min_length=1, description="parts of the network to run in int8, such as backbone; null: all"
    )
    skip: list[Pattern] = Field([], description="patterns of layers that stay in float")
    auto_skip: bool = Field(True, description="also leave the worst layers in float, until the loss is allowed")
    tolerance: NotNegative = Field(
        0.01, description="loss of the score up to which no layer is left in float; max_drop where that is smaller"
    )
    analysis_images: Count = Field(16, description="validation images of the analysis, evenly spaced")
    analysis_layers: Count = Field(
        12, description="layers, the noisiest first, for which the score with the layer in float is measured"
    )
    score_images: Count | None = Field(None, description="validation images for the scores of the engines; null: all")
    agreement: Share = Field(0.95, description="share of results that every engine must have in common with int8")
    qat: Phase | None = Field(None, description="training with simulated int8 first; null: none")


class Search(Section):
    """Precision per component: accuracy and latency of the combinations."""

    precisions: list[Literal["fp32", "fp16", "int8"]] = Field(
        ["fp32", "fp16", "int8"], min_length=1, description="what to combine"
    )
    images: Count | None = Field(None, description="validation images to score with, evenly spaced; null: all")
    time_limit: Positive = Field(1800.0, description="seconds; combinations that take longer are searched greedily")
    latency_ms: Positive | None = Field(
        None, description="budget: the best score within this latency; null: the fastest within max_drop"
    )
    max_drop: NotNegative = Field(0.01, description="budget, where compress.max_drop gives none")
    calibrations: list[Annotated[int, Field(ge=0)]] = Field(
        [0, 5, 50, 100], description="numbers of images of the table of calibrations; 0: ranges taken at run time"
    )
    runs: Count = Field(30, description="timed runs of every combination")
    threads: Count = Field(1, description="threads of the timed engine")


class Compress(Section):
    """Settings of `mobileseg compress`."""

    max_drop: NotNegative | None = Field(
        None, description="largest loss of the score (1 is everything); what loses more is not exported"
    )
    measure: Measure = Field(default_factory=lambda: Measure.model_validate({}), description="what the report measures")
    prune: Prune = Field(default_factory=lambda: Prune.model_validate({}), description="compress prune")
    sensitivity: Sensitivity = Field(
        default_factory=lambda: Sensitivity.model_validate({}), description="compress sensitivity"
    )
    quantize: Quantize = Field(default_factory=lambda: Quantize.model_validate({}), description="compress quantize")
    search: Search = Field(default_factory=lambda: Search.model_validate({}), description="compress search")
