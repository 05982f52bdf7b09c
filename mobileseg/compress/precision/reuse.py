"""Results of a network's components, kept while one image goes through many variants of the network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import paddle
from paddle import nn


class Reuse:
    """While it is open, a component that gets what it got before, in the same state, gives what it gave before.

    What a component got is compared by identity where it is the result of another component, and by content where it
    is not, so nothing has to be known of how the components are connected.

    Args:
        components: name -> layer; of a list of layers every member counts.
        state: name of a component -> what its result depends on beside its input, such as its precisions.
    """

    def __init__(self, components: Mapping[str, nn.Layer], state: Callable[[str], Hashable]) -> None:
        self._state = state
        self._results: dict[Hashable, tuple[Any, Any]] = {}
        self._known: set[int] = set()
        self._wrapped: list[nn.Layer] = []
        for name, component in components.items():
            members = list(component) if isinstance(component, nn.LayerList) else [component]
            for layer in members:
                self._wrap(name, layer)

    def clear(self) -> None:
        """Forget everything; to be called before the next image."""
        self._results.clear()
        self._known.clear()

    def close(self) -> None:
        """Give the components their own forward back."""
        self.clear()
        for layer in self._wrapped:
            layer.__dict__.pop("forward", None)

    def _wrap(self, name: str, layer: nn.Layer) -> None:
        original = layer.forward

        def forward(*inputs: Any) -> Any:
            key = (id(layer), self._state(name), tuple(self._key(item) for item in paddle.utils.flatten(list(inputs))))
            if key not in self._results:
                result = original(*inputs)
                # The inputs are kept too: as long as they live, nothing else has their identity.
                self._results[key] = (inputs, result)
                self._known.update(id(item) for item in paddle.utils.flatten(result))
            return self._results[key][1]

        layer.__dict__["forward"] = forward
        self._wrapped.append(layer)

    def _key(self, item: Any) -> Hashable:
        if not isinstance(item, paddle.Tensor):
            return repr(item)
        if id(item) in self._known:
            return id(item)
        digest = hashlib.blake2b(item.numpy().tobytes(), digest_size=16).hexdigest()
        return digest, tuple(item.shape)
