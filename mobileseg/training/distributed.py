"""Several processes: `python -m paddle.distributed.launch`. With one process everything here does nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import paddle
import paddle.distributed as dist


class Processes:
    """The group of training processes: gloo between CPUs, NCCL between GPUs.

    Attributes:
        rank: number of this process.
        count: number of processes.
    """

    def __init__(self) -> None:
        self.count = dist.get_world_size()
        self.rank = dist.get_rank()
        if self.count > 1 and not dist.is_initialized():
            dist.init_parallel_env()

    @property
    def is_main(self) -> bool:
        """Whether this process logs and saves."""
        return self.rank == 0

    def synchronise_norms(self, network: paddle.nn.Layer) -> paddle.nn.Layer:
        """With several GPUs: batch normalisation over all of them (paddle.nn.BatchNorm2D only, as in PaddleSeg)."""
        if self.count > 1 and paddle.get_device() != "cpu":
            return paddle.nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return network

    def wrap(self, network: paddle.nn.Layer, *, partly: bool = False) -> paddle.nn.Layer:
        """The network whose backward averages gradients over the processes; starts from the weights of process 0.

        Args:
            network: to be wrapped.
            partly: not every parameter takes part in every backward.
        """
        return paddle.DataParallel(network, find_unused_parameters=partly) if self.count > 1 else network

    def without_reduction(self, wrapped: paddle.nn.Layer) -> AbstractContextManager[None]:
        """Inside, backward only accumulates; the reduction is left to the last backward of a step."""
        return wrapped.no_sync() if self.count > 1 else nullcontext()

    def mean(self, values: paddle.Tensor) -> paddle.Tensor:
        """Mean over the processes, float32, any shape."""
        if self.count > 1:
            values = values.clone()
            dist.all_reduce(values)
            values = values / self.count
        return values

    def sum_counts(self, counts: np.ndarray) -> np.ndarray:
        """Sum of int64 arrays over the processes."""
        if self.count == 1:
            return counts
        tensor = paddle.to_tensor(np.ascontiguousarray(counts))
        dist.all_reduce(tensor)
        return tensor.numpy()

    def gather(self, message: bytes) -> list[bytes]:
        """The messages of all processes, in the order of their ranks; each may have its own length."""
        if self.count == 1:
            return [message]
        length = self.largest(len(message))
        padded = np.zeros(max(length, 1), dtype=np.uint8)
        padded[: len(message)] = np.frombuffer(message, dtype=np.uint8)
        lengths: list[paddle.Tensor] = []
        blocks: list[paddle.Tensor] = []
        dist.all_gather(lengths, paddle.to_tensor(np.array([len(message)], dtype=np.int64)))
        dist.all_gather(blocks, paddle.to_tensor(padded))
        return [block.numpy().tobytes()[: int(size.item())] for block, size in zip(blocks, lengths, strict=True)]

    def largest(self, value: int) -> int:
        """The largest of one integer per process."""
        if self.count == 1:
            return value
        tensor = paddle.to_tensor(np.array([value], dtype=np.int64))
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
        return int(tensor.item())

    def share_statistics(self, network: paddle.nn.Layer) -> None:
        """Give every process what process 0 has in place of the tensors that no gradient changes.

        These are the running statistics, which each process gathers from its own part of the batch. (They are
        buffers in paddle.nn.BatchNorm2D and parameters in paddle.nn.BatchNorm.)
        """
        if self.count > 1:
            for tensor in network.state_dict().values():
                if tensor.stop_gradient:
                    dist.broadcast(tensor, src=0)

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.count > 1:
            dist.barrier()
