"""Synthetic two-view chest radiographs with reports and boxes, for tests and first steps without a download."""

from rrg.data.phantom.data_folder import write_phantoms
from rrg.data.phantom.generation import Box, Phantom, make_phantom

__all__ = ["Box", "Phantom", "make_phantom", "write_phantoms"]
