"""Decode compressed DICOM pixels in a process of its own, with limits of time and memory.

    python decoder_process.py DECODING < encapsulated pixel data > JSON line and decoded values

DECODING is the JSON of `Decoding`. The JSON line has `dtype`, `shape` and `photometric_interpretation`. The module
imports nothing of this package, so that the process starts fast.
"""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import asdict, dataclass
from typing import Any

MAX_BYTES = 1280 * 2**20
"""Memory of the process. A JPEG 2000 image of 67 million pixels of 16 bits takes about 1 GiB."""


@dataclass(frozen=True)
class Decoding:
    """What to decode."""

    syntax: str
    """UID of the transfer syntax."""
    plugin: str
    """pydicom's name of the decoder."""
    seconds: int
    """Computing time after which the process is ended."""
    options: dict[str, Any]
    """Options of pydicom's decoders: the tags that describe the pixels."""

    def to_json(self) -> str:
        """Return this as JSON."""
        return json.dumps(asdict(self))


class Outcome:
    """Exit codes of the process. All others stand for damaged data, on which some decoders end the process."""

    MEMORY = 3
    TOO_LARGE = (MEMORY, -9)  # 9: the system ended it, for it was short of memory
    TOO_SLOW = -getattr(signal, "SIGXCPU", 24)


def _limit(seconds: int) -> None:
    try:
        import resource
    except ImportError:  # Windows: the caller limits the time alone
        return
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    except (ValueError, OSError):  # macOS does not limit the address space
        return


def main() -> None:
    """Decode what the command line and the standard input give."""
    decoding = Decoding(**json.loads(sys.argv[1]))
    _limit(decoding.seconds)
    import numpy as np
    from pydicom.pixels.decoders.base import get_decoder

    data = sys.stdin.buffer.read()
    try:
        options: dict[str, Any] = {"correct_unused_bits": False, "decoding_plugin": decoding.plugin, **decoding.options}
        decoded, properties = get_decoder(decoding.syntax).as_array(data, raw=True, **options)
        described = {
            "dtype": decoded.dtype.str,
            "shape": decoded.shape,
            "photometric_interpretation": str(properties["photometric_interpretation"]),
        }
        sys.stdout.buffer.write(json.dumps(described).encode() + b"\n")
        sys.stdout.buffer.write(np.ascontiguousarray(decoded).data)
    except MemoryError:
        sys.exit(Outcome.MEMORY)


if __name__ == "__main__":
    main()
