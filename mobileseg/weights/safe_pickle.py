"""Reading pickled arrays without running anything that the file asks for.

A weights file may come from anywhere, and ``pickle`` would call whatever the file names. Here a file is first
walked opcode by opcode (nothing is built), and then loaded by an unpickler whose only callables are the ones
below: they rebuild arrays from raw bytes themselves, so not even NumPy's own unpickling code sees the file.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from mobileseg.errors import WeightsError

# NEWOBJ is here so that what it names is refused by that name; it cannot act, for no stand-in is a class.
_USED = """
    MARK STOP POP PROTO FRAME GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID
    NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT
    NEWOBJ NEWOBJ_EX STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8
    BINBYTES SHORT_BINBYTES BINBYTES8 EMPTY_LIST APPEND APPENDS LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3
    EMPTY_DICT DICT SETITEM SETITEMS GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE
"""
_OPCODES = frozenset(_USED.split())
_MAX_OPCODES = 5_000_000
_MAX_DEPTH = 100
_MAX_TUPLE = 100_000
"""Parts of a tuple, counted as often as they appear: a tuple can be a key, which is hashed with all of its parts."""

_CHANGES_ITS_FIRST = frozenset({"APPEND", "APPENDS", "SETITEM", "SETITEMS", "BUILD"})
"""Operations that change the object below their arguments instead of making one."""
_DTYPES = frozenset(
    f"{kind}{size}" for kind, sizes in {"f": "248", "i": "1248", "u": "1248", "b": "1"}.items() for size in sizes
)


class Callee:
    """A name of the pickle that may be called; an object without attributes, so that BUILD cannot alter it."""

    __slots__ = ("_function", "_name")

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name = name
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, state: Any) -> None:
        raise WeightsError(f"the file tries to change '{self._name}'; no weights file does that")


class _Marker:
    """A name that may be passed as an argument but not called (``numpy.ndarray``)."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise WeightsError("the file tries to change a type; no weights file does that")


class Record(dict):
    """Stands for dict subclasses (OrderedDict); their instance attributes are dropped."""

    def __setstate__(self, state: Any) -> None:
        pass


class _DType:
    __slots__ = ("dtype",)

    def __init__(self, code: Any, *flags: Any) -> None:
        if not isinstance(code, (str, bytes)):  # showing anything else could take for ever
            raise WeightsError(f"the file holds an array whose type is a {type(code).__name__}, not a name")
        name = _text(code).lstrip("<>=|")
        if name not in _DTYPES:
            raise WeightsError(f"the file holds an array of type {code!r}; only numbers and booleans are read")
        self.dtype = np.dtype("?" if name == "b1" else name)

    def __setstate__(self, state: Any) -> None:
        # (version, byte order, subdtype, names, fields, ...): a plain number has only the byte order
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise WeightsError("the file holds an array of a structured type; only numbers and booleans are read")
        if _text(state[1]) in "<>":
            self.dtype = np.dtype(_text(state[1]) + self.dtype.str[1:])


class _Array:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        shape, dtype, fortran, raw = state[-4:]
        if self.value is not None or not isinstance(dtype, _DType):
            raise WeightsError("the file holds a malformed array")
        if isinstance(raw, str):  # bytes of a Python 2 pickle
            raw = raw.encode("latin1")
        self.value = build_array(raw, dtype.dtype, shape, "F" if fortran else "C")


def build_array(raw: Any, dtype: np.dtype[Any], shape: Any, order: Any = "C") -> np.ndarray:
    """A read-only array over raw bytes.

    Raises:
        WeightsError: the bytes are not what type and shape need.
    """
    shape = tuple(shape)
    if not isinstance(raw, bytes) or any(not isinstance(size, int) or size < 0 for size in shape):
        raise WeightsError("the file holds a malformed array")
    count = 1
    for size in shape:
        count *= size
    if count * dtype.itemsize != len(raw):
        raise WeightsError(f"the file holds an array of shape {list(shape)} with {len(raw)} bytes of {dtype} data")
    # a view, so that a file which uses the same bytes in many arrays needs no more memory than its size
    return np.frombuffer(raw, dtype).reshape(shape, order=order)


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    if not isinstance(kind, _Marker):
        raise WeightsError("the file holds a malformed array")
    return _Array()


def _scalar(dtype: Any, raw: Any) -> Any:
    if not isinstance(dtype, _DType):
        raise WeightsError("the file holds a malformed number")
    return build_array(raw.encode("latin1") if isinstance(raw, str) else raw, dtype.dtype, ()).item()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(encoding, str) or encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        shown = repr(encoding) if isinstance(encoding, str) else f"of type {type(encoding).__name__}"
        raise WeightsError(f"the file asks for the text encoding {shown}; only latin1 is used in weights")
    return text.encode("latin1")


def _record(items: Any = ()) -> Record:
    return Record((key, value) for key, value in (items.items() if isinstance(items, dict) else items))


def _text(value: Any) -> str:
    if not isinstance(value, (str, bytes)):
        raise WeightsError(f"the file holds a {type(value).__name__} where a name is expected")
    return value.decode("ascii", "replace") if isinstance(value, bytes) else value


NUMPY_NAMES: dict[str, Any] = {
    **{
        f"numpy.{core}.multiarray.{name}": Callee(f"numpy {name}", function)
        for core in ("core", "_core")
        for name, function in (("_reconstruct", _reconstruct), ("scalar", _scalar))
    },
    "numpy.ndarray": _Marker(),
    "numpy.dtype": Callee("numpy.dtype", _DType),
    "_codecs.encode": Callee("_codecs.encode", _encode),
    "collections.OrderedDict": Callee("OrderedDict", _record),
    **{
        f"{module}.{name}": Callee(name, function)
        for module in ("builtins", "__builtin__")
        for name, function in (("tuple", tuple), ("dict", _record), ("bytes", lambda value=(): bytes(tuple(value))))
    },
}
"""What a NumPy pickle may name, and what stands for it."""


class _Unpickler(pickle.Unpickler):
    def __init__(
        self, file: BinaryIO, names: Mapping[str, Any], persistent: Callable[[Any], Any] | None, what: str
    ) -> None:
        super().__init__(file, encoding="latin1")
        self._names = names
        self._persistent = persistent
        self._what = what

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in self._names:
            raise WeightsError(
                f"{self._what} asks for '{full}', which is not part of a weights file: refused, nothing was run",
                remedy="save the parameters alone (a dict of name and array: the state_dict) and read that file",
            )
        return self._names[full]

    def persistent_load(self, pid: Any) -> Any:
        if self._persistent is None:
            raise WeightsError(f"{self._what} refers to data outside itself: refused")
        return self._persistent(pid)


def read_pickle(
    stream: BinaryIO,
    what: str,
    *,
    names: Mapping[str, Any] = NUMPY_NAMES,
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """One pickled object from the stream's position, which is left behind the object.

    Args:
        stream: seekable.
        what: how to call the file in messages.
        names: full dotted names that the pickle may use, with what stands for them.
        persistent: resolves persistent ids (PyTorch's storages).

    Returns:
        dict, list, tuple, numbers, str, bytes, ndarray, and whatever ``names`` and ``persistent`` gave.

    Raises:
        WeightsError: the pickle is damaged, or uses a name or an opcode that weights do not need.
    """
    start = stream.tell()
    _check_opcodes(stream, what)
    end = stream.tell()
    stream.seek(start)
    body = io.BytesIO(stream.read(end - start))
    try:
        return _plain(_Unpickler(body, names, persistent, what).load(), {})
    except WeightsError:
        raise
    except Exception as error:  # a damaged pickle raises almost anything
        raise WeightsError(
            f"{what} cannot be read, it is damaged ({type(error).__name__})", remedy="fetch the file again"
        ) from error


def _check_opcodes(stream: BinaryIO, what: str) -> None:
    count = 0
    shapes = _Shapes()
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            count += 1
            if opcode.name not in _OPCODES:
                raise WeightsError(
                    f"{what} uses the pickle operation {opcode.name}, which weights do not need: refused"
                )
            if opcode.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > count:
                raise WeightsError(f"{what} is not a pickle that pickle wrote (memo {argument}): refused")
            if count > _MAX_OPCODES:
                raise WeightsError(f"{what} has more than {_MAX_OPCODES} pickle operations: refused")
            if not shapes.follow(opcode, argument):
                raise WeightsError(f"{what} nests its entries deeper or wider than weights do: refused")
    except WeightsError:
        raise
    except Exception as error:
        raise WeightsError(
            f"{what} is truncated or not a weights file ({type(error).__name__})",
            remedy="fetch the file again; .pdparams, .npz, .pth, .pt and .tar.gz are read",
        ) from error


class _Shape:
    """How large and how deep an object is when everything that it holds is counted as often as it appears."""

    __slots__ = ("depth", "size")

    def __init__(self, size: int = 1, depth: int = 1) -> None:
        self.size = size
        self.depth = depth


class _Shapes:
    """Follows what a pickle would build without building it.

    A few bytes can describe a tuple that holds itself twice, sixty levels deep; hashing or showing it takes for ever,
    and one that is a million levels deep overflows the stack.
    """

    def __init__(self) -> None:
        self._stack: list[_Shape | None] = []  # None is a mark
        self._memo: dict[int, _Shape | None] = {}

    def follow(self, opcode: Any, argument: Any) -> bool:
        """Do what an operation does to the stack; returns whether the result is of an acceptable size.

        Raises:
            IndexError, KeyError, ValueError: the pickle is malformed.
        """
        name, stack = opcode.name, self._stack
        if name == "MARK":
            stack.append(None)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._memo[len(self._memo) if name == "MEMOIZE" else int(argument)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self._memo[int(argument)])
        elif opcode.stack_before or opcode.stack_after:
            return self._apply(opcode)
        return True

    def _apply(self, opcode: Any) -> bool:
        stack, before = self._stack, opcode.stack_before
        taken: list[_Shape | None] = []
        if pickletools.markobject in before:
            last_mark = len(stack) - 1 - stack[::-1].index(None)
            below = before.index(pickletools.markobject)
            taken = stack[last_mark - below : last_mark] + stack[last_mark + 1 :]
            del stack[last_mark - below :]
        elif before:
            if len(stack) < len(before):
                raise IndexError("the stack is empty")
            taken = stack[-len(before) :]
            del stack[-len(before) :]
        parts = [part for part in taken if part is not None]
        if not opcode.stack_after:
            return True
        changed = parts.pop(0) if opcode.name in _CHANGES_ITS_FIRST else _Shape()
        changed.size += sum(part.size for part in parts)
        changed.depth = max([changed.depth, *(part.depth + 1 for part in parts)])
        stack.append(changed)
        return changed.depth <= _MAX_DEPTH and (changed.size <= _MAX_TUPLE or not opcode.name.startswith("TUPLE"))


def _plain(value: Any, done: dict[int, Any], depth: int = 0) -> Any:
    """The same value with the stand-ins replaced by arrays; ``done`` keeps shared parts shared."""
    if depth > 50:
        raise WeightsError("the file nests its entries more than 50 deep: refused")
    if isinstance(value, _Array):
        if value.value is None:
            raise WeightsError("the file holds an array without data")
        return value.value
    if not isinstance(value, (dict, list, tuple)):
        return value
    if id(value) not in done:
        if isinstance(value, dict):
            done[id(value)] = {key: _plain(entry, done, depth + 1) for key, entry in value.items()}
        else:
            done[id(value)] = type(value)(_plain(entry, done, depth + 1) for entry in value)
    return done[id(value)]
