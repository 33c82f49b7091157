"""CSR-LMCA (The Visual Computer)."""

from rrg.models.csr_lmca.model import CSRLMCA, CSRLMCAConfig

__all__ = ["CSRLMCA", "CSRLMCAConfig"]
