"""Request bodies of every RPC, good and bad, drawn from the descriptors of the API, so that a new RPC is among them.

A body is drawn on the level of the wire, so it may break every rule: wrong bytes in names, numbers that no field may
have, groups in groups, lengths that lie. First it is drawn how wild a body is. One that is wrong everywhere is refused
at its first field, so most are wrong in a few places or none.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Mapping, Sequence

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from judge.rpc.server import SERVICES

VARINT, FIXED64, BYTES, GROUP, END_GROUP, FIXED32 = 0, 1, 2, 3, 4, 5
NUMBERS = (0, 1, 2, 3, 7, 100, -1, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63), 2**32, 10**6, 1001)
FLOATS = (0.0, -0.0, 1.0, 0.5, 0.95, -1.0, 5e-324, 1e308, -1e308, *map(float, ("nan", "inf", "-inf")))
NAMES = (
    *(b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"a\0b", b"\x1b[2J\r\n", b" ", b"-1"),
    *(b"../../etc/passwd", b"datasets/", b"runs/x/y", "\u202e\ufeff\U0001f600\uffff".encode(), b"%s%n{0}'\";--"),
    *(
        b"9" * 40,
        b"=1+1",
        b"judge:",
        b"jury:a+a",
        b"people/",
        b"labels:*",
        b"labels:[",
        b"x" * 300,
        random.Random(0).randbytes(3_000).hex().encode(),
    ),
)
"""Names that are wrong nearly everywhere."""
_FIXED = {FieldDescriptor.TYPE_DOUBLE: "<d", FieldDescriptor.TYPE_FLOAT: "<f"}
LARGEST = 20 * 1024 * 1024


def methods() -> list[MethodDescriptor]:
    """Return every RPC of the service, by its service and place in it."""
    pool = descriptor_pool.Default()
    return [method for name in SERVICES for method in pool.FindServiceByName(name).methods]


class RequestBodies:
    """Draws bodies of *message*, the same for the same *seed*.

    *names* gives plausible texts by `Message.field` or by the field's name; "" is for all others. Each body is followed
    by its *mutants*, which cost little. The largest bodies have *most* bytes.
    """

    def __init__(
        self,
        message: Descriptor,
        *,
        seed: int,
        names: Mapping[str, Sequence[str]],
        mutants: int = 0,
        most: int = LARGEST,
    ) -> None:
        self._message, self._names = message, {key: [text.encode() for text in texts] for key, texts in names.items()}
        self._random = random.Random(f"{seed} {message.full_name}")
        self._mutants, self._most = mutants, most
        self._wild = self._dense = 0.0

    def __iter__(self) -> Iterator[bytes]:
        """Yield bodies without end, each followed by its mutants."""
        while True:
            self._wild = self._random.choice((0.0, 0.0, 0.02, 0.1, 0.5))
            self._dense = self._random.choice((0.0, 0.05, 0.3, 0.9))
            body = self._body(self._message)
            yield self._damaged(body) if self._wild else body
            for _ in range(self._mutants):
                yield self._mutant(body)

    def _mutant(self, body: bytes) -> bytes:
        """Return *body* with a few bytes replaced, left out or sent twice."""
        draw = self._random
        at = int(draw.random() * (len(body) + 1))
        end = at + draw.choice((0, 1, 1, 2, 9))
        middle = draw.choice((b"", draw.randbytes(1), draw.randbytes(1), b"\xff" * 9 + b"\x01", body[at:end] * 2))
        return body[:at] + middle + body[end:]

    def _damaged(self, body: bytes) -> bytes:
        """Return *body*, or one time in three something that is hardly a message any more."""
        draw = self._random
        match draw.randrange(12):
            case 0:
                return draw.randbytes(draw.randrange(64))
            case 1:
                return body[: draw.randrange(len(body) + 1)] + draw.randbytes(3)
            case 2:
                return self._mutant(body)
            case 3:
                depth = draw.choice((1, 99, 101, 5_000))
                field = draw.choice((1, 2, 99))
                return body + _tag(field, GROUP) * depth + _tag(field, END_GROUP) * depth
            case 4 if draw.randrange(50) == 0:
                return self._large(body)
        return body

    def _large(self, body: bytes) -> bytes:
        """Repeat *body*, or one of its fields, up to the largest size: what is repeated grows, the rest is merged."""
        most = min(self._random.choice((2**16, 2**20, 2**22, LARGEST)), self._most)
        piece = body or b"\x0a\x00"
        return piece * (most // len(piece)) if len(piece) < most else piece

    def _body(self, message: Descriptor, depth: int = 0) -> bytes:
        draw, parts = self._random, []
        # Columns of one length are more often right.
        rows = draw.choice((1, 1, 2, 3))
        for field in message.fields:
            if draw.random() > self._presence(field):
                continue
            count = rows if field.is_repeated else 1
            if field.is_repeated and draw.random() < self._wild / 10:
                count = 1001 if field.cpp_type < FieldDescriptor.CPPTYPE_STRING else 100
            parts += [self._field(field, depth) for _ in range(count)]
        if draw.random() < self._wild:
            draw.shuffle(parts)
        return b"".join(parts)

    def _field(self, field: FieldDescriptor, depth: int) -> bytes:
        draw = self._random
        wild = draw.random() < self._wild
        number = (
            draw.choice((field.number, field.number, 0, 2**29 - 1)) if wild and draw.random() < 0.1 else field.number
        )
        if field.message_type is not None:
            return _tag(number, BYTES) + _sized(
                self._body(field.message_type, depth + 1), lie=wild and draw.random() < 0.1
            )
        if field.type in _FIXED:
            value = draw.choice(FLOATS) if wild else draw.choice((0.05, 0.5, 0.9))
            kind = FIXED64 if _FIXED[field.type] == "<d" else FIXED32
            return _tag(number, kind) + struct.pack(_FIXED[field.type], value if kind == FIXED64 else min(value, 1e38))
        if field.type in {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}:
            return _tag(number, BYTES) + _sized(draw.choice(NAMES) if wild else draw.choice(self._plausible(field)))
        if wild:
            return _tag(number, VARINT) + _varint(draw.choice((*NUMBERS, draw.getrandbits(64))))
        if field.enum_type:
            return _tag(number, VARINT) + _varint(draw.randrange(len(field.enum_type.values)) or 1)
        return _tag(number, VARINT) + _varint(draw.choice((0, 1)) if field.is_repeated else draw.choice((1, 1, 2, 3)))

    def _presence(self, field: FieldDescriptor) -> float:
        """Return how probable *field* is: what names something is nearly always there, as most calls need it."""
        return 0.95 if any(key in self._names for key in _keys(field)) else self._dense

    def _plausible(self, field: FieldDescriptor) -> Sequence[bytes]:
        return next(self._names[key] for key in (*_keys(field), "") if key in self._names)


def _keys(field: FieldDescriptor) -> tuple[str, str]:
    return ".".join(field.full_name.split(".")[-2:]), field.name


def _tag(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _sized(body: bytes, *, lie: bool = False) -> bytes:
    return _varint(len(body) + 1000 * lie) + body


def _varint(number: int) -> bytes:
    number &= 2**64 - 1
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)
