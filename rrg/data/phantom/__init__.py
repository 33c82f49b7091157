"""Synthetic two-view chest radiographs with reports and boxes, for tests and first steps without a network."""

from rrg.data.phantom.phantom import Box, Phantom, make_phantom, write_phantoms

__all__ = ["Box", "Phantom", "make_phantom", "write_phantoms"]
