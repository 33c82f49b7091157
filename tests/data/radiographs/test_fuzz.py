"""Mutated files: each is refused with a clear message or read with right size and provenance, in bounded time and RAM.

The mutations are drawn from a seed. The files are read in a process of their own, whose memory is measured.
"""

from __future__ import annotations

import json
import os
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MUTATIONS = {"png8": 50, "png16": 50, "jpeg": 50, "webp": 50, "native": 50, "jpeg2000": 25, "jpegls": 25}
"""Number of mutations of each base file."""
SLOW = ("jpeg2000", "jpegls")
"""Compressed DICOM starts a process for each file."""

_Y, _X = np.mgrid[-1:1:64j, -1:1:56j]
CHEST = (0.5 + 0.5 * np.cos(3 * _X) * np.sin(2 * _Y + 0.7)).clip(0, 1)


# Base files


def base_file(name: str, dicom_file: Callable[..., bytes]) -> bytes:
    twelve = np.rint(CHEST * 4095).astype(np.uint16)
    tags = {"BitsStored": 12, "WindowCenter": 2048, "WindowWidth": 4096, "BodyPartExamined": "CHEST"}
    syntaxes = {
        "native": "1.2.840.10008.1.2.1",
        "jpeg2000": "1.2.840.10008.1.2.4.90",
        "jpegls": "1.2.840.10008.1.2.4.80",
    }
    if name in syntaxes:
        return dicom_file(twelve, syntax=syntaxes[name], **tags, PatientName="Fuzz^Zz", ViewPosition="PA")
    file = BytesIO()
    picture = Image.fromarray(twelve * 16 if name == "png16" else np.rint(CHEST * 255).astype(np.uint8))
    format = {"png8": "PNG", "png16": "PNG", "jpeg": "JPEG", "webp": "WEBP"}[name]
    picture.save(file, format, exif=Image.Exif(), **({"lossless": True} if name == "webp" else {}))
    return file.getvalue()


# Mutations of bytes


def flip_bytes(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def flip_header_bytes(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    start = 132 if data[128:132] == b"DICM" else 0
    for _ in range(rng.randint(1, 4)):
        changed[start + rng.randrange(min(400, len(changed) - start))] = rng.choice(
            (0, 1, 127, 128, 255, rng.randrange(256))
        )
    return bytes(changed)


def cut_off(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(1, len(data))]


def cut_out(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.randint(1, 64) :]


def repeat_part(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    part = data[start : start + rng.randint(1, 200)]
    return data[:start] + part * rng.choice((2, 3, 1000)) + data[start:]


def append(data: bytes, rng: random.Random) -> bytes:
    return data + rng.choice((data, b"\0" * 100_000, rng.randbytes(500)))


def huge_number(data: bytes, rng: random.Random) -> bytes:
    """Overwrite four bytes by a large number, as a length or size may be."""
    start = rng.randrange(len(data) - 4)
    number = rng.choice((0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0x00100000, 0xFFFF0000))
    return data[:start] + number.to_bytes(4, rng.choice(("little", "big"))) + data[start + 4 :]


# Mutations of the structure of a DICOM file

Element = tuple[bytes, bytes, bytes]
"""Tag, value representation and value."""
_LONG = (b"OB", b"OW", b"SQ", b"UN", b"UT")


def elements_of(data: bytes) -> tuple[bytes, list[Element]]:
    """What lies before the data set of an explicit little-endian file, and the elements of the data set."""
    at = 144 + int.from_bytes(data[140:144], "little")
    head, elements = data[:at], []
    while at < len(data):
        tag, vr = data[at : at + 4], data[at + 4 : at + 6]
        size, start = (4, at + 8) if vr in _LONG else (2, at + 6)
        length = int.from_bytes(data[start : start + size], "little")
        begin = start + size
        end = len(data) if length == 0xFFFFFFFF else begin + length
        elements.append((tag, vr, data[begin:end]))
        at = end
    return head, elements


def joined(head: bytes, elements: list[Element]) -> bytes:
    parts = [head]
    for tag, vr, value in elements:
        compressed = tag == b"\xe0\x7f\x10\0" and value[:4] == b"\xfe\xff\0\xe0"
        length = 0xFFFFFFFF if compressed else len(value)
        parts.append(tag + vr + (struct.pack("<HI", 0, length) if vr in _LONG else struct.pack("<H", length)) + value)
    return b"".join(parts)


def change_value(data: bytes, rng: random.Random) -> bytes:
    head, elements = elements_of(data)
    index = rng.randrange(len(elements) - 1)
    tag, vr, value = elements[index]
    values = [
        b"",
        b"\xff\xff",
        b"\0\0",
        b"\1\0",
        b"\x10\0",
        b"-1",
        b"99999999",
        b"1e400 ",
        b"NaN ",
        b"\\\\\\ ",
        b"A" * 5000,
    ]
    elements[index] = tag, vr, rng.choice((*values, rng.randbytes(len(value)), value * 2))
    return joined(head, elements)


def change_representation(data: bytes, rng: random.Random) -> bytes:
    head, elements = elements_of(data)
    index = rng.randrange(len(elements))
    tag, _, value = elements[index]
    elements[index] = (
        tag,
        rng.choice([b"OB", b"UN", b"US", b"SS", b"LO", b"DS", b"IS", b"SQ", b"FD", b"UT", b"ZZ", b"\0\0"]),
        value,
    )
    return joined(head, elements)


def swap_elements(data: bytes, rng: random.Random) -> bytes:
    head, elements = elements_of(data)
    rng.shuffle(elements)
    return joined(head, elements)


def drop_or_repeat_element(data: bytes, rng: random.Random) -> bytes:
    head, elements = elements_of(data)
    index = rng.randrange(len(elements))
    return joined(head, elements[:index] + [elements[index]] * rng.choice((0, 2, 50)) + elements[index + 1 :])


def add_sequence(data: bytes, rng: random.Random) -> bytes:
    """Add a sequence that is nested deeply, has many items, or states a length beyond the file."""
    head, elements = elements_of(data)
    start, item = struct.pack("<HH2sHI", 8, 0x2218, b"SQ", 0, 0xFFFFFFFF), b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    tag = rng.choice((0x30003028.to_bytes(4), b"\x28\0\x10\x30", b"\x08\0\x18\x22", b"\x09\0\x01\x10"))
    added = rng.choice(
        (
            (start + item) * 1000,
            start + b"\xfe\xff\0\xe0\0\0\0\0" * 20_000 + b"\xfe\xff\xdd\xe0\0\0\0\0",
            tag + b"SQ\0\0" + struct.pack("<I", 16) + b"\xfe\xff\0\xe0\xff\xff\xff\x7f" + rng.randbytes(8),
            tag + b"SQ\0\0" + struct.pack("<I", 0xFFFFFFF0),
            tag + b"SQ\0\0" + struct.pack("<I", 24) + rng.randbytes(24),
        )
    )
    return head + added + joined(b"", elements)


def add_unread_elements(data: bytes, rng: random.Random) -> bytes:
    """Add elements that are not read: the pixels have to stay the same."""
    head, elements = elements_of(data)
    added = [
        (b"\x09\0" + struct.pack("<H", 0x1000 + n), rng.choice([b"LO", b"UN", b"OB"]), rng.randbytes(6))
        for n in range(40)
    ]
    return joined(head, elements[:-1] + added + elements[-1:])


def change_names(data: bytes, rng: random.Random) -> bytes:
    """Change a name and a UID, which are not read."""
    head, elements = elements_of(data)
    return joined(
        head, [(t, v, rng.randbytes(10) if t in (b"\x10\0\x10\0", b"\x08\0\x18\0") else x) for t, v, x in elements]
    )


def add_png_chunks(data: bytes, rng: random.Random) -> bytes:
    """Add chunks of text after the header of a PNG file: the pixels have to stay the same."""
    content = b"Comment\0\0" + zlib.compress(b"a" * rng.choice((10, 100_000)))
    chunk = b"zTXt" + content
    return data[:33] + (struct.pack(">I", len(content)) + chunk + struct.pack(">I", zlib.crc32(chunk))) * 5 + data[33:]


ANY = (flip_bytes, flip_header_bytes, cut_off, cut_out, repeat_part, append, huge_number)
DICOM = (change_value, change_representation, swap_elements, drop_or_repeat_element, add_sequence)
HARMLESS = {"png8": add_png_chunks, "png16": add_png_chunks}
DICOM_HARMLESS = (add_unread_elements, change_names)


def mutations(name: str, data: bytes) -> list[tuple[str, bytes, bool]]:
    """Name of the mutation, the file, and whether the pixels have to be those of the base."""
    is_dicom = data[128:132] == b"DICM"
    harmless = DICOM_HARMLESS if is_dicom else (HARMLESS[name],) if name in HARMLESS else ()
    rng = random.Random(f"{name} 9223")
    mutated = []
    for index in range(MUTATIONS[name]):
        if harmless and index < 6:
            change, keeps = harmless[index % len(harmless)], True
        else:
            change, keeps = rng.choice(DICOM * 2 + ANY if is_dicom else ANY), False
        mutated.append((change.__name__, change(data, rng), keeps))
    return mutated


# The process that reads

_READ = """
import json, resource, struct, sys, time
import rrg.data.radiographs as radiographs
from rrg.errors import InputError

def peak():  # ru_maxrss would include the process that started this one
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

while header := sys.stdin.buffer.read(4):
    content = sys.stdin.buffer.read(struct.unpack("<I", header)[0])
    start, answer = time.process_time(), {}
    try:
        radiograph = radiographs.read_radiograph(content)
        low, high = float(radiograph.pixels.min()), float(radiograph.pixels.max())
        answer = {"shape": radiograph.pixels.shape, "sha256": radiograph.sha256, "range": [low, high],
                  "format": radiograph.provenance.format, "bits": radiograph.provenance.bits}
    except InputError as error:
        answer["refusal"] = str(error)
    except BaseException as error:
        answer["error"] = repr(error)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer["seconds"] = time.process_time() - start
    answer["child_seconds"] = children.ru_utime + children.ru_stime
    answer["memory"] = max(peak(), children.ru_maxrss)
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture(scope="module")
def read_all() -> Callable[[list[bytes]], list[dict]]:
    pytest.importorskip("resource")

    def read(files: list[bytes]) -> list[dict]:
        root = Path(__file__).resolve().parents[3]
        environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        stream = b"".join(struct.pack("<I", len(file)) + file for file in files)
        done = subprocess.run(
            [sys.executable, "-c", _READ], input=stream, capture_output=True, env=environment, timeout=900
        )
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(files), f"the reader ended at file {len(answers)}: {done.stderr[-2000:]!r}"
        return answers

    return read


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in MUTATIONS]
)
def test_mutated_file_is_refused_or_read(
    name: str, dicom_file: Callable[..., bytes], read_all: Callable[[list[bytes]], list[dict]]
) -> None:
    data = base_file(name, dicom_file)
    mutated = mutations(name, data)
    base, *answers = read_all([data, *(content for _, content, _ in mutated)])
    assert base["shape"] == [64, 56], base
    child_seconds = base["child_seconds"]
    for (change, _, keeps), answer in zip(mutated, answers, strict=True):
        assert "error" not in answer, (change, answer)
        assert answer["seconds"] + answer["child_seconds"] - child_seconds < 5, (change, answer)
        assert answer["memory"] < 1.5 * 2**20, (change, answer)
        child_seconds = answer["child_seconds"]
        if "refusal" in answer:
            message = answer["refusal"]
            assert message.endswith(".") and 20 < len(message) < 400, (change, answer)
            assert "zz" not in message.lower()
            assert not keeps, (change, answer)
            continue
        low, high = answer["range"]
        assert 0 <= low <= high <= 1, (change, answer)
        assert answer["format"] == base["format"]
        assert 1 <= answer["bits"] <= 16
        assert min(answer["shape"]) >= 32
        if keeps:
            assert answer["sha256"] == base["sha256"], (change, answer)
    refused = sum("refusal" in answer for answer in answers)
    assert 0 < refused < len(answers), refused
