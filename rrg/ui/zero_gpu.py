"""ZeroGPU, the Hugging Face Spaces whose GPU is lent for the time of one function call."""

from __future__ import annotations

import importlib


def register_zero_gpu() -> None:
    """Register with ZeroGPU, on which the app runs.

    Such a Space does not start without a function that asks for the GPU, so one is registered. The models stay on the
    CPU: ZeroGPU runs a call in a process of its own, to which models and progress would have to be passed, and a report
    takes less than a second on two cores. Call it before torch is imported.
    """
    spaces = importlib.import_module("spaces")  # part of these Spaces, and of nothing else

    @spaces.GPU
    def unused() -> None:
        """Never called."""
