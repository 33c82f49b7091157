"""What a serving process without a GPU need not hold in memory."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

M_ARENA_MAX = -8
"""Parameter of glibc's `mallopt`: heaps that threads may open."""


def spare_memory() -> None:
    """Call before torch is imported. Saves about 100 MB of resident memory where there is no GPU, else does nothing.

    torch loads Triton wherever it is installed, and it comes with every torch from PyPI, but it only compiles for GPUs.
    """
    if Path("/dev/nvidiactl").exists() or sys.platform != "linux":
        return
    sys.modules.setdefault("triton", None)  # type: ignore[arg-type]  # makes `import triton` an ImportError
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # absent where the C library is not glibc
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 2)
