"""Losses of clips: what queries and kernels of a frame say of a later one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import paddle

from mobileseg.nn.nested import cast
from mobileseg.video.mobileinst.losses import Assignment, MobileInstLoss, Predictions, apply_kernels
from mobileseg.video.mobileinst.model import MobileInst
from mobileseg.video.mobileinst.targets import Objects


def clip_losses(
    network: MobileInst,
    criterion: MobileInstLoss,
    batch: Mapping[str, paddle.Tensor],
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> dict[str, paddle.Tensor]:
    """Weighted losses of clips by name.

    All frames go through the network as one batch and are learned like images. Then, from every frame to the next:

    - ``passed`` (temporal query passing of the paper): its queries, as the global decoder made them, enter the local
      decoder of the next frame. A query keeps the object that it learned in its own frame; where that is not in the
      next one it learns to be no object, and objects that are new there are nobody's.
    - ``reused``: its kernels are applied to the next frame's mask features, as a stream does between key frames; the
      two mask losses judge the objects that both frames have. This part is not of the paper.

    Args:
        network: in training.
        criterion: gives factors; a part with the factor 0 is left out.
        batch: ``frames`` float32 [B, T, 3, H, W], ``classes`` int64 [B, M] (-1: padding), ``crowd`` uint8 [B, M],
            ``frame_masks`` uint8 [B, M, T, H, W], all 0 where a track is not in a frame.
        autocast: number format of the networks; losses are float32.

    Returns:
        The losses of images (:class:`~mobileseg.video.mobileinst.losses.MobileInstLoss`) and the two above.
    """
    frames = batch["frames"]
    clips, length = (int(count) for count in frames.shape[:2])
    with autocast():
        outputs = network(frames.reshape([clips * length, *frames.shape[2:]]))
    outputs = cast(outputs, "float32")
    images = _as_images(batch, length)
    objects = criterion.objects(outputs, images)
    losses, assignments = criterion.judge(outputs, objects)
    losses |= criterion.semantic(outputs, images)
    sources = [clip * length + time for clip in range(clips) for time in range(length - 1)]
    if not sources or max(criterion.passing_weight, criterion.reuse_weight) == 0:
        return losses
    here, there = paddle.to_tensor(sources), paddle.to_tensor([source + 1 for source in sources])
    carried = [carry(objects[source], objects[source + 1], assignments[source]) for source in sources]
    common, pairs = [one for one, _ in carried], [kept for _, kept in carried]
    features = paddle.gather(outputs["mask_features"], there)
    if criterion.passing_weight > 0:
        decoder = network.instance_decoder
        with autocast():
            queries = paddle.gather(outputs["global_queries"], here)
            local_map = paddle.gather(outputs["local_map"], there)
            answers = decoder.answers(decoder.look_locally(queries, local_map, network.cell_masks(local_map)))
        answers = cast(answers, "float32")
        masks = apply_kernels(answers["kernels"], features)
        found = Predictions(answers["logits"], answers["objectness"], masks)
        parts = criterion.weighted(found, common, pairs)
        losses["passed"] = criterion.passing_weight * sum(parts.values())
    if criterion.reuse_weight > 0:
        masks = apply_kernels(paddle.gather(outputs["kernels"], here), features)
        logits, objectness = (paddle.gather(outputs[name], here) for name in ("logits", "objectness"))
        parts = criterion.weighted(Predictions(logits, objectness, masks), common, pairs)
        losses["reused"] = criterion.reuse_weight * (parts["dice"] + parts["mask"])
    return losses


def carry(here: Objects, there: Objects, assignment: Assignment) -> tuple[Objects, Assignment]:
    """The assignment of one frame in another one.

    Args:
        here: objects of the frame of the assignment; ``rows`` are tracks.
        there: objects of the other frame.
        assignment: of ``here``.

    Returns:
        Those objects of the other frame that the assignment knows, and the queries that keep them.
    """
    owner = dict(zip(here.rows[assignment.objects].tolist(), assignment.queries.tolist(), strict=True))
    known = np.array([index for index, row in enumerate(there.rows.tolist()) if row in owner], np.int64)
    rows = there.rows[known]
    queries = np.array([owner[row] for row in rows.tolist()], np.int64)
    return Objects(there.classes[known], there.masks[known], rows), Assignment(queries, np.arange(len(known)))


def _as_images(batch: Mapping[str, paddle.Tensor], length: int) -> dict[str, np.ndarray]:
    """Annotations of clips as those of their frames, in the order of the frames: B * T images."""
    masks = batch["frame_masks"].numpy().swapaxes(1, 2)
    return {
        "masks": masks.reshape(-1, *masks.shape[2:]),
        "classes": batch["classes"].numpy().repeat(length, axis=0),
        "crowd": batch["crowd"].numpy().repeat(length, axis=0),
    }
