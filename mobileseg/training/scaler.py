"""Dynamic loss scaling for float16 training: the decision logic alone, free of any framework.

Method: Micikevicius et al., Mixed Precision Training, ICLR 2018, section 3.2.
"""

from __future__ import annotations

from typing import Any

from mobileseg.errors import TrainingError


class LossScaler:
    """Chooses the factor that keeps float16 gradients from vanishing and from overflowing.

    The loss is multiplied by ``scale`` before backward and the gradients divided by it before the step. When a
    gradient is not finite the step is skipped and the scale multiplied by ``backoff``; after ``growth_interval``
    good steps in a row it is multiplied by ``growth``.

    Args:
        scale: initial factor.
        growth: factor after a good spell, above 1.
        backoff: factor after an overflow, between 0 and 1.
        growth_interval: good steps in a row that earn a growth.
        max_skips: skipped steps in a row that mean the training has diverged.
        enabled: False keeps the scale at 1 and never skips (float32, bfloat16).
    """

    def __init__(
        self,
        scale: float = 1024.0,
        growth: float = 2.0,
        backoff: float = 0.5,
        growth_interval: int = 2000,
        max_skips: int = 50,
        enabled: bool = True,
    ) -> None:
        if not (scale > 0 and growth > 1 and 0 < backoff < 1 and growth_interval > 0 and max_skips > 0):
            raise ValueError(f"impossible loss scaling: {scale=} {growth=} {backoff=} {growth_interval=} {max_skips=}")
        self.scale = float(scale) if enabled else 1.0
        self.growth = growth
        self.backoff = backoff
        self.growth_interval = growth_interval
        self.max_skips = max_skips
        self.enabled = enabled
        self.good_steps = 0
        self.skipped = 0

    def update(self, finite: bool) -> bool:
        """Take note of a step's gradients.

        Args:
            finite: whether every gradient was finite.

        Returns:
            Whether the optimizer may step.

        Raises:
            TrainingError: too many steps in a row overflowed; no scale will help.
        """
        if not self.enabled:
            return True
        if finite:
            self.skipped = 0
            self.good_steps += 1
            if self.good_steps == self.growth_interval:
                self.scale *= self.growth
                self.good_steps = 0
            return True
        self.scale *= self.backoff
        self.good_steps = 0
        self.skipped += 1
        if self.skipped >= self.max_skips:
            raise TrainingError(
                f"{self.skipped} steps in a row had gradients that are not finite (loss scale down to {self.scale:g})",
                remedy="use bfloat16 or float32, a lower learning rate, or clip: {norm: 5}",
            )
        return False

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` needs, as JSON values."""
        return {"scale": self.scale, "good_steps": self.good_steps, "skipped": self.skipped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state of another scaler; nothing happens when this one is disabled."""
        if self.enabled and state:
            self.scale = float(state["scale"])
            self.good_steps = int(state["good_steps"])
            self.skipped = int(state["skipped"])
