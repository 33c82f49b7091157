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
    summary: str = ""
    """What it is, in two or three sentences for a reader of the app."""

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
            "A transformer reads the image area by area and writes the report word by word. Areas and words look up "
            "one common memory, so that what belongs together is found at the same place. Other models build on it.",
        ),
        Architecture(
            "camanet",
            "CAMANet",
            "CAMANet",
            "Wang et al., CAMANet: Class Activation Map Guided Attention Network for Radiology Report Generation, "
            "IEEE J-BHI 2024",
            "A classifier marks the areas of the findings that it predicts. A summary of these areas is added to the "
            "image, and training rewards words of findings that look at the same areas.",
        ),
        Architecture(
            "lgfm_net",
            "LGFMNet",
            "LGFM-Net",
            "LGFM-Net: Local-Global Feature Mixing Network (own interpretation: the "
            "published repository lacks the method, and no text of a paper was found)",
            "Mixes the details of each area, through a filter made from its surroundings, with a view of the whole "
            "image, in which each area looks at the most relevant others. Memory and decoder are those of R2GenCMN.",
        ),
        Architecture(
            "xpronet",
            "XProNet",
            "XProNet",
            "Wang et al., Cross-modal Prototype Driven Network for Radiology Report Generation, ECCV 2022",
            "R2GenCMN with a set of prototypes for each finding in place of the common memory. A classifier predicts "
            "the findings of the image, and areas and words look up the prototypes of these findings alone.",
        ),
        Architecture(
            "csr_lmca",
            "CSRLMCA",
            "CSR-LMCA",
            "Enhanced Radiology Report Generation via Comprehensive Sequence Rearrangement and Multi-scale "
            "Cross-region Attention, The Visual Computer",
            "Reads each image twice, the second time with all but the areas of predicted findings blackened. The areas "
            "are read in several orders and compared within small regions and across them. Memory and decoder are "
            "those of R2GenCMN.",
        ),
        Architecture(
            "sgrrg",
            "SGRRG",
            "SGRRG",
            "Wang et al., Scene Graph Aided Radiology Report Generation, CMIG 2025",
            "First predicts a scene graph of the frontal view: which of 29 anatomical regions the report describes, "
            "and what it says of each. The words then look at the image and at these regions, so that they can be "
            "traced to named anatomy.",
        ),
        Architecture(
            "vit_gpt2",
            "ViTGPT2",
            "ViT + mapping network + GPT-2",
            "No paper: repository DSC-Qian/radiology-report-generation; ViT (Dosovitskiy et al., ICLR 2021) and GPT-2 "
            "(Radford et al., 2019)",
            "An image transformer and a language model, joined by a small network that turns the image into inputs of "
            "the language model. No paper describes it: it is this project's interpretation of a repository.",
        ),
    )
}
