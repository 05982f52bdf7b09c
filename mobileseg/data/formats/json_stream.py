"""The members of a large JSON object one after the other, and the entries of a list one by one.

Parsed as a whole, an annotation file takes six times its size in memory: a Python object for every number. Here only
what is asked for is there at a time, besides the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mobileseg.limits import MAX_JSON_BYTES, read_regular

_SPACE = re.compile(r"[ \t\n\r]*")


class JsonMembers:
    """Walks through an object: iterate over its keys, and take the value of each by one of the methods.

    Args:
        path: of the file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON object; the methods raise it where it ceases to be one.
        RecursionError: of a method, for a value that is nested too deeply.
    """

    def __init__(self, path: Path) -> None:
        data = read_regular(path, MAX_JSON_BYTES)
        self._text = data.decode(json.detect_encoding(data))
        self._decode = json.JSONDecoder().raw_decode
        self._at = self._after_space(0)
        self._expect("{")

    def __iter__(self) -> Iterator[str]:
        if self._next() == "}":
            self._expect("}")
        else:
            while True:
                key = self.value()
                if not isinstance(key, str):
                    raise ValueError("a key is no text")
                self._expect(":")
                yield key
                if self._next() != ",":
                    break
                self._expect(",")
            self._expect("}")
        if self._at != len(self._text):
            raise ValueError("something follows the object")

    def value(self) -> Any:
        """The whole value."""
        found, end = self._decode(self._text, self._at)
        self._at = self._after_space(end)
        return found

    def entries(self) -> Iterator[dict[str, Any]]:
        """The entries of a list of objects."""
        self._expect("[")
        if self._next() == "]":
            self._expect("]")
            return
        while True:
            entry = self.value()
            if not isinstance(entry, dict):
                raise ValueError("an entry is no object")
            yield entry
            if self._next() != ",":
                break
            self._expect(",")
        self._expect("]")

    def last(self, key: str) -> Any:
        """The value after the last place in the text that looks like this key, which need not be one of the object."""
        place = self._text.rfind(f'"{key}"', self._at)
        if place < 0:
            raise ValueError(f"there is no {key} further on")
        colon = self._after_space(place + len(key) + 2)
        if self._text[colon : colon + 1] != ":":
            raise ValueError(f"{key} is no key there")
        return self._decode(self._text, self._after_space(colon + 1))[0]

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _expect(self, mark: str) -> None:
        if self._next() != mark:
            raise ValueError(f"expected '{mark}' at character {self._at}")
        self._at = self._after_space(self._at + 1)

    def _after_space(self, start: int) -> int:
        found = _SPACE.match(self._text, start)
        assert found is not None  # it matches nothing as well
        return found.end()
