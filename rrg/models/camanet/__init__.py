"""CAMANet (Wang et al., IEEE J-BHI 2024)."""

from rrg.models.camanet.model import CAMANet, CAMANetConfig

__all__ = ["CAMANet", "CAMANetConfig"]
