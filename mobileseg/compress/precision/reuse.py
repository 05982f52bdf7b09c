"""Results of a network's components, kept while one image goes through many variants of the network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import paddle
from paddle import nn


class _Kept(NamedTuple):
    """A result, and what it was made of: as long as the inputs live, nothing else has their identity."""

    inputs: tuple[Any, ...]
    result: Any
    uses: dict[int, int]


class Reuse:
    """While it is open, a component that gets what it got before, in the same state, gives what it gave before.

    What a component got is compared by identity where it is the result of another component, and by content where it
    is not, so nothing has to be known of how the components are connected.

    Args:
        components: name -> layer; of a list of layers, or of lists of them, every member counts.
        state: name of a component -> what its result depends on beside its input, such as its precisions.
        uses: id of a layer -> how often it was used so far, which layers inside the components count while they run;
            a result depends on where they stood, and giving it again advances them as well.
    """

    def __init__(
        self, components: Mapping[str, nn.Layer], state: Callable[[str], Hashable], uses: dict[int, int] | None = None
    ) -> None:
        self._state = state
        self._uses = {} if uses is None else uses
        self._results: dict[Hashable, _Kept] = {}
        self._known: set[int] = set()
        self._wrapped: list[nn.Layer] = []
        for name, component in components.items():
            for layer in _members(component):
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
        inside = {id(part) for part in layer.sublayers(include_self=True)}

        def counted() -> dict[int, int]:
            return {part: count for part, count in self._uses.items() if part in inside}

        def forward(*inputs: Any) -> Any:
            given = tuple(self._key(item) for item in paddle.utils.flatten(list(inputs)))
            key = (id(layer), self._state(name), given, frozenset(counted().items()))
            if key not in self._results:
                result = original(*inputs)
                self._results[key] = _Kept(inputs, result, counted())
                self._known.update(id(item) for item in paddle.utils.flatten(result))
            kept = self._results[key]
            self._uses.update(kept.uses)
            return kept.result

        layer.__dict__["forward"] = forward
        self._wrapped.append(layer)

    def _key(self, item: Any) -> Hashable:
        if not isinstance(item, paddle.Tensor):
            return repr(item)
        if id(item) in self._known:
            return id(item)
        digest = hashlib.blake2b(item.numpy().tobytes(), digest_size=16).hexdigest()
        return digest, tuple(item.shape)


def _members(component: nn.Layer) -> list[nn.Layer]:
    """A layer, or those of a list, of lists as well: a list has no forward."""
    if not isinstance(component, nn.LayerList):
        return [component]
    return [layer for member in component for layer in _members(member)]
