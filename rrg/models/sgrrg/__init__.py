"""SGRRG (Wang et al., CMIG 2025)."""

from rrg.models.sgrrg.model import SGRRG, SGRRGConfig

__all__ = ["SGRRG", "SGRRGConfig"]
