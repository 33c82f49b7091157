"""Registration of all architectures with the auto classes of transformers."""

from __future__ import annotations

from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
)

from rrg.data.tokenizer import ReportTokenizer
from rrg.inference.pretrained import ReportGeneration
from rrg.inference.processing import ReportImageProcessor, ReportProcessor
from rrg.models import ARCHITECTURES
from rrg.models.base import ReportModel


def generating(model_class: type[ReportModel]) -> type[ReportModel]:
    """The architecture with `ReportGeneration`, under its own name."""
    return type(model_class.__name__, (ReportGeneration, model_class), {"__module__": __name__})


def register() -> None:
    """Register every architecture. A second call changes nothing."""
    for name, architecture in ARCHITECTURES.items():
        model_class = architecture.load()
        config_class = model_class.config_class
        AutoConfig.register(name, config_class, exist_ok=True)
        for auto_class in (AutoModel, AutoModelForImageTextToText):
            auto_class.register(config_class, generating(model_class), exist_ok=True)
        AutoTokenizer.register(config_class, tokenizer_class=ReportTokenizer, exist_ok=True)
        processors = {"pil": ReportImageProcessor, "torchvision": ReportImageProcessor}
        AutoImageProcessor.register(config_class, image_processor_classes=processors, exist_ok=True)
        AutoProcessor.register(config_class, ReportProcessor, exist_ok=True)
