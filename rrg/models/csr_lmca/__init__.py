"""CSR-LMCA (The Visual Computer)."""

from rrg.models.csr_lmca.config import CSRLMCAConfig
from rrg.models.csr_lmca.model import CSRLMCA

__all__ = ["CSRLMCA", "CSRLMCAConfig"]
