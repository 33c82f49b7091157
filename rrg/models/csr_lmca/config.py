"""Configuration of CSR-LMCA."""

from __future__ import annotations

from rrg.labels.findings import FINDINGS
from rrg.models.base import ReportConfig


class CSRLMCAConfig(ReportConfig):
    """The defaults are the published configuration, in our interpretation."""

    model_type = "csr_lmca"

    saliency_view: bool = True
    """Whether the model encodes a masked copy of every view beside the view (SDAM)."""
    discriminator: str | None = "resnet34"
    """timm name of the classifier that the mask is computed from; None: the image encoder's own classifier."""
    discriminator_size: int = 300
    """Side of the square input of a separate discriminator, in pixels."""
    saliency_thresholds: tuple = (0.5,) * len(FINDINGS)
    """Probability from which each of `FINDINGS` counts as predicted."""
    saliency_cut: float = 0.4
    """Minimum m of a pixel inside the mask."""
    dilation: int = 5
    """Side of the square by which the mask grows, in pixels of the model's images."""
    num_mamba_blocks: int = 2
    """Blocks of the scan."""
    mamba_expand: int = 2
    """Channels of the scan as a multiple of hidden_size."""
    mamba_state: int = 16
    """States of each channel."""
    mamba_kernel: int = 4
    """Width of the causal convolution before the scan, in tokens."""
    mamba_step_rank: int = 32
    """Rank of Delta."""
    reorder_rates: tuple = (1, 7, 10)
    """R of each branch; 1 leaves the order as it is."""
    pooling_size: int = 128
    """Hidden size of the attention pooling."""
    windows: tuple = (2, 4)
    """Sides of the square regions, in cells of the feature grid."""
    representatives: int = 3
    """k of each region."""
    position_kernel: int = 15
    """Odd length of the convolution of EPEG; shorter where the window is smaller."""
    memory_slots: int = 2048
    """Rows of the memory matrix."""
    topk: int = 32
    """Memory slots that each head of each token attends to."""
