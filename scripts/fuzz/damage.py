"""Hostile values, and ways to damage a file that was whole: its bytes, lines, cells and JSON.

All is drawn from a generator that the caller seeds, so an input is known by its number alone.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

from numpy.random import Generator

TOKENS = [
    *("", " ", "\t", "NaN", "nan", "inf", "-inf", "1e999", "-1e308", "1e-400", "-0", "--5", "+-1"),
    *("²", "９", "½", "9" * 400, "9" * 5000, "0x1F", "1_000", "1,234.5", "1.234,5", "(3)", "5%"),
    *("null", "None", "NA", "?", "-", "True", "no", "\0", "a\0b", "\ufeff", "\ud800", "\u2028"),
    *("😀", "\u202eabc", "e\u0301" * 50, '"', "'", "''", '"a', 'a"b', "\\", "\n", "\r", "a\nb"),
    *("x" * 3000, "x" * 200_000, "word " * 2000, ",", ";", "|", ",,,,,,", "=1+1", "2024-02-30"),
    *("99999-01-01", "0000-00-00", "31.12.2024", "2024-05-31T25:61:00", "1e18", "20240531"),
    *("../../etc/passwd", "/etc/passwd", "x" * 300 + ".png", "a\0b.png", "http://a.b/c.png", "."),
    *("${data_dir}", "${oc.env:HOME}", "${", "???", "[", "]", "{", "}", "[1, [2", "{a: {b: 1}}"),
    *("!!python/object/apply:os.system ['true']", "&a [*a]", "*a", "---", "<", "<a>", "&lt;", "%s"),
    *('<!DOCTYPE a [<!ENTITY b "c">]>', "-", "1 2 3", "1 " * 2304, "300 -1 5", "train", "test"),
]
VALUES: list[Any] = [
    *(None, True, False, [], {}, "", 0, -1, 1, 1.5, 1e308, float("nan"), float("inf"), 10**25),
    *(10**400, -(2**63), "1", "x" * 3000, [None], [[]], {"a": {}}, [1, 2], [1, 2, 3, 4], "\ud800"),
    *("a\0b", [0, 0, 1e308, 1e308], [0, 0, -1, 1], ["a", "b", "c", "d"], {"id": 1}, "../x.png"),
]
DEEP = 3000  # brackets of a nested value


def pick(rng: Generator, values: Sequence[Any]) -> Any:
    """One of some values, as it is."""
    return values[int(rng.integers(len(values)))]


def token(rng: Generator) -> str:
    """A text that readers have stumbled over."""
    return str(pick(rng, TOKENS))


def encoded(text: str) -> bytes:
    """A text in UTF-8, lone surrogates as they would be."""
    return text.encode("utf-8", "surrogatepass")


# -- bytes ------------------------------------------------------------------------------------


def flipped(rng: Generator, data: bytes) -> bytes:
    """Some bits are wrong, half of the time among the first bytes."""
    content = bytearray(data)
    reach = len(content) if rng.random() < 0.5 else min(len(content), 128)
    for place in rng.integers(0, reach, rng.integers(1, 10)):
        content[place] ^= 1 << int(rng.integers(0, 8))
    return bytes(content)


def truncated(rng: Generator, data: bytes) -> bytes:
    """The end is missing, or nearly all."""
    return data[: int(len(data) * rng.random() ** 2)]


def spliced(rng: Generator, data: bytes) -> bytes:
    """A part is lost, doubled, blank or noise."""
    start, end = sorted(rng.integers(0, len(data) + 1, 2).tolist())
    part = data[start:end]
    middle = pick(rng, [b"", part + part, bytes(len(part)), rng.bytes(len(part))])
    return data[:start] + middle + data[end:]


def inserted(rng: Generator, data: bytes) -> bytes:
    """A hostile text or some noise stands somewhere."""
    place = int(rng.integers(0, len(data) + 1))
    extra = encoded(token(rng)) if rng.random() < 0.7 else rng.bytes(int(rng.integers(1, 40)))
    return data[:place] + extra + data[place:]


def replaced(rng: Generator, data: bytes) -> bytes:
    """Nothing of the file is left."""
    others = [b"", b"\0", b"\n", b"\xff\xfe", b"\xef\xbb\xbf", rng.bytes(64), b"PK\3\4" + bytes(40)]
    others += [b"%PDF-1.7\n", b"<html><body>404</body></html>", b"[" * DEEP, b'{"a":' * DEEP]
    return bytes(pick(rng, others))


BYTES: list[Callable[[Generator, bytes], bytes]]
BYTES = [flipped, flipped, truncated, spliced, inserted, inserted, replaced]


def damaged(rng: Generator, data: bytes) -> bytes:
    """A file of any kind, damaged once or twice."""
    for _ in range(int(rng.integers(1, 3))):
        if data:
            data = BYTES[int(rng.integers(len(BYTES)))](rng, data)
    return data


# -- lines ------------------------------------------------------------------------------------


def damaged_lines(rng: Generator, data: bytes, delimiter: bytes = b",") -> bytes:
    """A text file with lines or cells that are missing, doubled, in another place or hostile."""
    lines = data.split(b"\n")
    for _ in range(int(rng.integers(1, 4))):
        place = int(rng.integers(len(lines)))
        way = int(rng.integers(6))
        if way == 0 and len(lines) > 1:
            del lines[place]
        elif way == 1:
            lines.insert(int(rng.integers(len(lines) + 1)), lines[place])
        elif way == 2:
            lines.insert(place, encoded(token(rng)))
        else:
            lines[place] = _damaged_cells(rng, lines[place], delimiter)
    return b"\n".join(lines)


def _damaged_cells(rng: Generator, line: bytes, delimiter: bytes) -> bytes:
    """A line with a cell that is missing, doubled, hostile or in another place."""
    cells = line.split(delimiter)
    one, other = rng.integers(0, len(cells), 2).tolist()
    way = int(rng.integers(5))
    if way == 0:
        del cells[one]
    elif way == 1:
        cells.insert(one, cells[other])
    elif way == 2:
        cells[one], cells[other] = cells[other], cells[one]
    else:
        cells[one] = encoded(token(rng))
    return delimiter.join(cells)


# -- JSON -------------------------------------------------------------------------------------


def hostile(rng: Generator) -> Any:
    """A value that JSON can hold, or nearly."""
    if rng.random() < 0.1:
        return json.loads("[" * 200 + "]" * 200)
    return token(rng) if rng.random() < 0.4 else copy.deepcopy(pick(rng, VALUES))


def damaged_value(rng: Generator, value: Any) -> Any:
    """A nested value with entries that are hostile, missing, doubled or under another name."""
    value = copy.deepcopy(value)
    for _ in range(int(rng.integers(1, 4))):
        parents = [node for node in nodes(value) if node]
        if not parents:
            return hostile(rng)
        node = pick(rng, parents)
        _damage_entry(rng, node)
    return hostile(rng) if rng.random() < 0.02 else value


def nodes(value: Any) -> list[Any]:
    """All dicts and lists in a nested value."""
    if not isinstance(value, (dict, list)):
        return []
    inner = value.values() if isinstance(value, dict) else value
    return [value, *(node for own in inner for node in nodes(own))]


def _damage_entry(rng: Generator, node: Any) -> None:
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    key, way = pick(rng, keys), int(rng.integers(5))
    if way == 0:
        del node[key]
    elif way == 1 and isinstance(node, list):
        node.append(copy.deepcopy(node[key]))
    elif way == 1:
        node[token(rng)] = node.pop(key)
    elif way == 2:
        node[key] = copy.deepcopy(node[pick(rng, keys)])
    else:
        node[key] = hostile(rng)


def as_json(value: Any) -> bytes:
    """A value as JSON; what JSON has no word for is written as Python's reader takes it."""
    return json.dumps(value).encode()


def damaged_json(rng: Generator, value: Any) -> bytes:
    """JSON that is damaged as a value, as text, or both."""
    if rng.random() < 0.75:
        value = damaged_value(rng, value)
    data = as_json(value)
    return damaged(rng, data) if rng.random() < 0.35 else data
