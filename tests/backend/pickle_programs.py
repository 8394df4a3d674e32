"""Pickles of random instructions: programs that may do anything, for the reader to survive."""

from __future__ import annotations

import random

# Instructions: what they take from the stack, by kind from the bottom up, and what they leave.
_ANY, _LIST, _DICT, _TUPLE = "any", "list", "dict", "tuple"
_NAME, _TEXT, _MADE = "name", "text", "made"
_TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000"
    b"X\3\0\0\0cpuK\6tQK\0K\2K\3\x86K\3K\1\x86\x89ccollections\nOrderedDict\n)RtR"
)
_VALUES = (
    *((piece, _ANY) for piece in (b"N", b"\x88", b"\x89", b"K\5", b"K\0", b"M\xff\xff")),
    *((b"J\xff\xff\xff\xff", _ANY), (b"G" + b"\x7f" * 8, _ANY), (b"C\1x", _ANY)),
    *((b"]", _LIST), (b"}", _DICT), (b")", _TUPLE), (b"\x8f", _MADE), (_TENSOR, _MADE)),
    *(
        (b"X" + bytes([len(word), 0, 0, 0]) + word, _TEXT)
        for word in (
            *(b"storage", b"0", b"cpu", b"_modules", b"_parameters", b"_buffers", b"state_dict"),
            *(b"model", b"a", b"", b"a.b", b"_non_persistent_buffers_set", b"training"),
        )
    ),
    *(
        (b"c" + name + b"\n", _NAME)
        for name in (
            *(b"collections\nOrderedDict", b"torch\nFloatStorage", b"os\nmkdir", b"builtins\nset"),
            *(b"torch._utils\n_rebuild_tensor_v2", b"torch._utils\n_rebuild_parameter"),
            *(b"torch._utils\n_rebuild_sparse_tensor", b"torch._utils\n_rebuild_qtensor"),
            *(b"torch._tensor\n_rebuild_from_type_v2", b"_codecs\nencode", b"torch\nSize"),
            *(b"torch.nn.modules.linear\nLinear", b"numpy\ndtype", b"torch\ndevice"),
        )
    ),
)
_ACTS = (
    *((b"\x85", (_ANY,), _TUPLE), (b"\x86", (_ANY, _ANY), _TUPLE)),
    *((b"\x87", (_ANY, _ANY, _ANY), _TUPLE), (b"a", (_LIST, _ANY), _LIST)),
    *((b"s", (_DICT, _ANY, _ANY), _DICT), (b"s", (_MADE, _ANY, _ANY), _MADE)),
    *((b"R", (_NAME, _TUPLE), _MADE), (b"\x81", (_NAME, _TUPLE), _MADE)),
    *((b"b", (_MADE, _ANY), _MADE), (b"b", (_MADE, _DICT), _MADE), (b"a", (_MADE, _ANY), _MADE)),
    *((b"\x93", (_TEXT, _TEXT), _NAME), (b"0", (_ANY,), "")),
    *((b"s", (_DICT, _TEXT, _MADE), _DICT), (b"s", (_DICT, _TEXT, _DICT), _DICT)),
)


def program(chance: random.Random) -> bytes:
    """A pickle of random instructions that mostly find on the stack what they take."""
    made = [b"\x80\2"]
    stack: list[str] = []
    kept: list[str] = []
    marks = [0]
    for _ in range(chance.choice((10, 100, 1_000, 20_000))):
        draw = chance.random()
        above = stack[marks[-1] :]
        fitting = [
            act
            for act in chance.sample(_ACTS, 6)
            if len(above) >= len(act[1])
            and all(
                wanted in (_ANY, found)
                for wanted, found in zip(act[1], above[-len(act[1]) :], strict=True)
            )
        ]
        if draw < 0.5 and fitting:
            piece, taken, left = fitting[0]
            del stack[-len(taken) :]
            stack += [left] if left else []
            made.append(piece)
        elif draw < 0.6 and kept:
            number = chance.randrange(len(kept))
            stack.append(kept[number])
            made.append(b"j" + number.to_bytes(4, "little"))
        elif draw < 0.7 and above:
            kept.append(stack[-1])
            made.append(b"\x94")
        elif draw < 0.75 and above:  # doubled again and again
            made.append(b"2\x86" * chance.choice((1, 2, 40)))
            stack[-1] = _TUPLE
        elif draw < 0.78:
            marks.append(len(stack))
            made.append(b"(")
        elif draw < 0.8 and len(marks) > 1:
            del stack[marks.pop() :]
            stack.append(_TUPLE)
            made.append(b"t")
        elif draw < 0.8001:
            made.append(chance.choice((b"0", b"u", b"e", b"1", b"Q", b"\x90", b"\x91")))
        else:
            piece, left = chance.choice(_VALUES)
            made.append(piece)
            stack.append(left)
    while len(marks) > 1:
        marks.pop()
        made.append(b"t")
    return b"".join((*made, b"]2a0" if not stack else b"", b"."))
