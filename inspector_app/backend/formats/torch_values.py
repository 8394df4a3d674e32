"""What the names in a pickle of torch.save stand for, as descriptions of tensors.

Each builder below takes the arguments that torch's own function of that name would be called with
(``torch/_utils.py``, ``torch/_tensor.py``) and checks them against the record that holds the
values.  Nothing is imported or allocated on behalf of the file.
"""

from __future__ import annotations

import struct
from functools import partial
from math import prod
from typing import Any, NamedTuple

import msgspec

from inspector_app.backend.formats.pickle_values import (
    Builder,
    Foreign,
    Global,
    Items,
    Make,
    Members,
    Prepare,
    one_by_one,
)
from inspector_app.backend.formats.torch_storages import (
    ELEMENTS_LIMIT,
    ITEM_SIZES,
    WORDS,
    Storage,
    Storages,
    StoredTensor,
    described,
)

_DIMENSIONS = 64
_LARGEST = 1 << 30  # bytes that a tensor may claim where its file is smaller
_LAYOUTS = 4_096  # shapes with strides that are remembered
_TEXT_LIMIT = 64 << 20  # characters that are encoded, and members of dictionaries that are copied


def _numbers(values: Any, what: str) -> tuple[int, ...]:
    """A shape or strides."""
    if type(values) is not tuple or len(values) > _DIMENSIONS:
        raise ValueError(f"a tensor has {what} that is no short tuple")
    for value in values:
        if type(value) is not int or not 0 <= value < ELEMENTS_LIMIT:
            raise ValueError(f"a tensor has {what} with something else than a size in it")
    return values


class _Layout(NamedTuple):
    """A shape with strides that were checked."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    elements: int
    reach: int  # elements from the first to the last one, as they are stored


def _countable(shape: tuple[int, ...]) -> tuple[int, ...]:
    if prod(size or 1 for size in shape) >= ELEMENTS_LIMIT:
        raise ValueError("a tensor has a shape too large to count")
    return shape


def _layout(shape: Any, strides: Any) -> _Layout:
    shape, strides = _countable(_numbers(shape, "a shape")), _numbers(strides, "strides")
    if len(shape) != len(strides):
        raise ValueError("a tensor has not as many strides as dimensions")
    count = prod(shape)
    last = sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    return _Layout(shape, strides, count, last + 1 if count else 0)


def _held(values: Any, depth: int = 3) -> list[StoredTensor]:
    """The tensors among arguments, or the arguments of those."""
    if type(values) is StoredTensor:
        return [values]
    if type(values) is not tuple or not depth:
        return []
    return [found for value in values[:8] for found in _held(value, depth - 1)]


def _dtype_word(value: Any) -> str:
    if type(value) is not Global or value.module != "torch" or value.name not in WORDS:
        raise ValueError("a tensor has a data type that is none")
    return WORDS[value.name]


# Fields of a tensor: the storage stands in the middle, its number and the first byte at the end.
_STORAGE = StoredTensor.__struct_fields__.index("storage")
assert StoredTensor.__struct_fields__[-2:] == ("space", "start")


class Builders:
    """Builders of one file, by module and name; see :func:`pickle_reader.read_pickle`."""

    def __init__(self, file_size: int) -> None:
        self._largest = max(file_size, _LARGEST)
        self._layouts: dict[tuple[int, int], _Layout] = {}
        self._spent = 0
        utilities: dict[str, Builder] = {
            "_rebuild_tensor": self._v1,
            "_rebuild_tensor_v2": self._v2,
            "_rebuild_tensor_v3": self._v3,
            "_rebuild_parameter": self._parameter,
            "_rebuild_parameter_with_state": self._parameter,
            "_rebuild_qtensor": self._quantized,
            "_rebuild_sparse_tensor": self._sparse,
            "_rebuild_sparse_csr_tensor": self._sparse,
            "_rebuild_meta_tensor_no_storage": self._meta,
            "_rebuild_nested_tensor": self._nested,
            "_rebuild_wrapper_subclass": self._wrapper,
        }
        self.table: dict[tuple[str, str], Builder] = {
            ("torch._utils", name): build for name, build in utilities.items()
        }
        self.table["torch._tensor", "_rebuild_from_type_v2"] = self._from_type
        self.table["torch", "Size"] = self._size
        self.table["torch", "device"] = self._device
        self.table["torch.serialization", "_get_layout"] = self._only_text
        self.table["_codecs", "encode"] = self._encoded
        for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            self.table[module, "scalar"] = _numpy_scalar
        self.table["collections", "OrderedDict"] = partial(self._dictionary, "OrderedDict")
        for module in ("builtins", "__builtin__"):
            self.table[module, "set"] = partial(_members, "set")
            self.table[module, "frozenset"] = partial(_members, "frozenset")
            self.table[module, "dict"] = partial(self._dictionary, "dict")

    def _spend(self, size: int) -> None:
        self._spent += size
        if self._spent > _TEXT_LIMIT:
            raise ValueError("it copies the same values again and again")

    # -- tensors -------------------------------------------------------------------------------

    def maker(self, storages: Storages) -> Prepare:
        """What prepares the tensors of one form; see :mod:`.pickle_shortcut`.

        All that is the same for each of them is checked once, against a record that holds just
        what the form claims.
        """

        def prepare(function: Global, identity: tuple[Any, ...], rest: tuple[Any, ...]) -> Make:
            build = function.build
            dtype, size, device = described(identity)
            like = build and build((Storage("", 0, dtype, size, device), *rest))
            if type(like) is not StoredTensor or device == "meta" or identity[0] != "storage":
                return one_by_one(storages.persistent, function, identity, rest)
            facts = msgspec.structs.astuple(like)
            before, behind = facts[:_STORAGE], facts[_STORAGE + 1 : -2]
            start, number_of = like.start, storages.number

            def make(key: str) -> StoredTensor:
                number = number_of(key, dtype, size)
                storage = Storage(key, number, dtype, size, device)
                values: tuple[Any, ...] = (*before, storage, *behind, number, start)
                return StoredTensor(*values)

            return make

        return prepare

    def _v1(self, given: tuple[Any, ...]) -> Any:
        storage, offset, shape, strides = given
        return self._dense((storage, offset, shape, strides, False))

    def _v2(self, given: tuple[Any, ...]) -> Any:
        if not 6 <= len(given) <= 7:
            raise ValueError("a tensor is described by another number of facts than torch writes")
        return self._dense(given, metadata=given[6] if len(given) > 6 else None)

    def _v3(self, given: tuple[Any, ...]) -> Any:
        if not 7 <= len(given) <= 8:
            raise ValueError("a tensor is described by another number of facts than torch writes")
        return self._dense(given, _dtype_word(given[6]), given[7] if len(given) > 7 else None)

    def _dense(self, given: tuple[Any, ...], dtype: str = "", metadata: Any = None) -> StoredTensor:
        """A dense tensor whose elements all lie within its record.

        ``given`` are storage, offset, shape, strides, requires_grad.
        """
        storage, offset = given[0], given[1]
        if type(storage) is not Storage:
            raise ValueError("a tensor has no storage")
        if type(offset) is not int or not 0 <= offset < ELEMENTS_LIMIT:
            raise ValueError("a tensor begins nowhere")
        # By the identity of the tuples: what they hold is not known before it is checked.
        shape, strides, count, reach = self._layouts.get(
            (id(given[2]), id(given[3]))
        ) or self._checked(given[2], given[3])
        dtype = dtype or storage.dtype
        item = ITEM_SIZES[dtype]
        start = offset * item if count else 0
        stored = reach * item
        if start + stored > storage.nbytes and storage.device != "meta":
            raise ValueError(
                f"a tensor of shape {shape} reaches beyond its record of {storage.nbytes:,} bytes"
            )
        if count * item > self._largest:
            raise ValueError(
                f"a tensor of shape {shape} claims {count:,} elements, repeated from a few bytes"
            )
        conjugate = negative = False
        if type(metadata) is Items and metadata:
            conjugate, negative = metadata.get("conj") is True, metadata.get("neg") is True
        reason = ""
        if storage.device == "meta":
            reason = "on the meta device: has no data"
        elif dtype[0] == "q":
            reason = "quantized"
        return StoredTensor(
            *(dtype, shape, strides, storage, offset, stored, given[4] is True, False),
            *(conjugate, negative, reason, storage.device, "Tensor", "", True),
            *(count, storage.number, start + storage.shift),
        )

    def _checked(self, shape: Any, strides: Any) -> _Layout:
        layout = _layout(shape, strides)
        if len(self._layouts) < _LAYOUTS:
            # It holds the tuples, so that no others get their identities.
            self._layouts[id(shape), id(strides)] = layout
        return layout

    def _parameter(self, given: tuple[Any, ...]) -> Any:
        data, requires_grad = given[:2]
        if type(data) is not StoredTensor:
            return Foreign("torch.nn", "Parameter", given)
        return msgspec.structs.replace(
            data, requires_grad=requires_grad is True, parameter=True, class_name="Parameter"
        )

    def _without_values(self, given: Any, reason: str, **facts: Any) -> StoredTensor:
        held = _held(given)
        found: dict[str, Any] = {
            "dtype": held[-1].dtype if held else "unknown",
            "shape": None,
            "stored": sum(part.stored for part in held),
            "reason": reason,
        }
        found |= facts
        return StoredTensor(**found, count=prod(_countable(found["shape"] or (0,))))

    def _quantized(self, given: tuple[Any, ...]) -> Any:
        storage, offset, shape, strides = given[:4]
        if type(storage) is Storage and storage.dtype in ("quint4x2", "quint2x4"):
            # Several elements a byte: how they lie is torch's own affair.
            sizes = _countable(_numbers(shape, "a shape"))
            facts = {"dtype": storage.dtype, "shape": sizes, "stored": storage.nbytes}
            return self._without_values((), "quantized", **facts)
        return self._dense((storage, offset, shape, strides, False))

    def _sparse(self, given: tuple[Any, ...]) -> Any:
        layout, data = given[:2]
        word = layout.removeprefix("torch.")[:20] if type(layout) is str else "unknown layout"
        if type(data) is not tuple:
            raise ValueError("a sparse tensor has no parts")
        shapes = [value for value in data[:8] if type(value) is tuple and _are_sizes(value)]
        shape = shapes[0] if shapes else None
        if shape is not None:
            _countable(shape)
        return self._without_values(data, f"sparse ({word})", shape=shape)

    def _meta(self, given: tuple[Any, ...]) -> Any:
        dtype, shape, strides, requires_grad = given
        sizes = _numbers(shape, "a shape")
        return StoredTensor(
            _dtype_word(dtype),
            _countable(sizes),
            _numbers(strides, "strides"),
            count=prod(sizes),
            requires_grad=requires_grad is True,
            reason="on the meta device: has no data",
            device="meta",
        )

    def _nested(self, given: tuple[Any, ...]) -> Any:
        return self._without_values(given[:1], "a nested tensor")

    def _wrapper(self, given: tuple[Any, ...]) -> Any:
        cls, dtype, shape = given[:3]
        name = cls.name if type(cls) is Global else "tensor"
        return self._without_values(
            (),
            f"a {name}, which wraps other tensors",
            dtype=_dtype_word(dtype),
            shape=_numbers(shape, "a shape"),
            class_name=name,
        )

    def _from_type(self, given: tuple[Any, ...]) -> Any:
        """A tensor of a class of its own, or with attributes."""
        function, cls, arguments = given[:3]
        if type(function) is not Global or type(cls) is not Global or function.build is None:
            return Foreign("torch._tensor", "_rebuild_from_type_v2", given)
        if type(arguments) is not tuple:
            raise ValueError("a tensor is made of arguments that are no tuple")
        if function.build == self._from_type:  # as torch never writes it; it could go on for ever
            raise ValueError("a tensor of a class of its own is made of another one")
        made = function.build(arguments)
        if type(made) is not StoredTensor:
            return made
        return msgspec.structs.replace(made, class_name=cls.name)

    # -- other values --------------------------------------------------------------------------

    def _size(self, given: tuple[Any, ...]) -> Any:
        (values,) = given
        return values

    def _only_text(self, given: tuple[Any, ...]) -> Any:
        (text,) = given
        return text

    def _device(self, given: tuple[Any, ...]) -> Any:
        if not all(type(part) in (str, int) and len(str(part)) < 50 for part in given):
            raise ValueError("a device has an endless name")
        return Foreign("torch", "device", given)

    def _encoded(self, given: tuple[Any, ...]) -> Any:
        """Bytes, as protocol 2 writes them."""
        text, encoding = given
        if type(text) is not str or encoding not in ("latin1", "latin-1"):
            return Foreign("_codecs", "encode", given)
        self._spend(len(text))
        return text.encode("latin-1")

    def _dictionary(self, kind: str, given: tuple[Any, ...]) -> Any:
        """A dictionary, empty or (Python 2) of a list of pairs."""
        made = Items(kind)
        if given:
            (pairs,) = given
            if type(pairs) is not list:
                return Foreign("collections", kind, given)
            self._spend(16 * len(pairs))
            for pair in pairs:
                if type(pair) not in (list, tuple) or len(pair) != 2:
                    raise ValueError("a dictionary is made of something else than pairs")
                made += pair
        return made


def _are_sizes(values: tuple[Any, ...]) -> bool:
    return len(values) <= _DIMENSIONS and all(
        type(value) is int and 0 <= value < ELEMENTS_LIMIT for value in values
    )


def _members(kind: str, given: tuple[Any, ...]) -> Any:
    values = given[0] if given else []
    if type(values) not in (list, tuple) or len(given) > 1:
        raise ValueError("a set is made of something else than a list")
    return Members(values, kind)


def _numpy_scalar(given: tuple[Any, ...]) -> Any:
    """A number of numpy, as the plain number it is."""
    made = Foreign("numpy", "scalar", given)
    if len(given) != 2 or type(given[0]) is not Foreign or type(given[1]) is not bytes:
        return made
    kinds = {"f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "i1": "b"}
    kinds |= {"u8": "Q", "u4": "I", "u2": "H", "u1": "B", "b1": "?"}
    arguments, state, data = given[0].arguments, given[0].state, given[1]
    code = arguments[0] if arguments and type(arguments[0]) is str else ""
    order = state[1] if type(state) is tuple and len(state) > 1 else "<"
    letter = kinds.get(code)
    if letter is None or order not in ("<", ">", "|") or len(data) != struct.calcsize("<" + letter):
        return made
    return struct.unpack((">" if order == ">" else "<") + letter, data)[0]
