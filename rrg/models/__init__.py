"""Table of the architectures. A new one is a file (or a folder with model.py) and a line in this table.

Importing the table loads no model code, so that models can be listed before torch is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rrg.models.base import ReportModel


@dataclass(frozen=True)
class Architecture:
    """A published system."""

    name: str
    """Its module in `rrg.models` and `model_type` of its configuration."""
    class_name: str
    title: str
    """Name of the architecture in the paper."""
    paper: str

    def load(self) -> type[ReportModel]:
        return getattr(import_module(f"rrg.models.{self.name}"), self.class_name)


ARCHITECTURES: dict[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        Architecture(
            "r2gen_cmn",
            "R2GenCMN",
            "R2GenCMN",
            "Chen et al., Cross-modal Memory Networks for Radiology Report Generation, ACL-IJCNLP 2021",
        ),
        Architecture(
            "camanet",
            "CAMANet",
            "CAMANet",
            "Wang et al., CAMANet: Class Activation Map Guided Attention Network for Radiology Report Generation, "
            "IEEE J-BHI 2024",
        ),
        Architecture(
            "lgfm_net",
            "LGFMNet",
            "LGFM-Net",
            "LGFM-Net: Local-Global Feature Mixing Network (own interpretation: the "
            "published repository lacks the method, and no text of a paper was found)",
        ),
        Architecture(
            "xpronet",
            "XProNet",
            "XProNet",
            "Wang et al., Cross-modal Prototype Driven Network for Radiology Report Generation, ECCV 2022",
        ),
        Architecture(
            "csr_lmca",
            "CSRLMCA",
            "CSR-LMCA",
            "Enhanced Radiology Report Generation via Comprehensive Sequence Rearrangement and Multi-scale "
            "Cross-region Attention, The Visual Computer",
        ),
        Architecture(
            "sgrrg", "SGRRG", "SGRRG", "Wang et al., Scene Graph Aided Radiology Report Generation, CMIG 2025"
        ),
        Architecture(
            "vit_gpt2",
            "ViTGPT2",
            "ViT + mapping network + GPT-2",
            "No paper: repository DSC-Qian/radiology-report-generation; ViT (Dosovitskiy et al., ICLR 2021) and GPT-2 "
            "(Radford et al., 2019)",
        ),
    )
}
