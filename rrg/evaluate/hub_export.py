"""A model as one folder for the Hugging Face hub: weights, code, processor, and a card with the measured figures.

The folder needs nothing of this repository: `trust_remote_code=True` loads the code in it, and `rrg.Reporter` loads it
as any folder of weights.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCardData

from rrg.data.files import replaced
from rrg.data.quality.heads import FILE as QUALITY_FILE
from rrg.data.tokenizer import ReportTokenizer
from rrg.decoding.resources import RESOURCE_FILES
from rrg.errors import InputError
from rrg.evaluate.model_card import METRICS
from rrg.inference.exported_code import ExportedCode, exported_code
from rrg.inference.processing import ReportImageProcessor, ReportProcessor
from rrg.inference.training_statistics import FILE as STATISTICS_FILE
from rrg.inference.weights import bytes_on_disk, check_weights, shared_encoder, weights_digest
from rrg.models import ARCHITECTURES

TASK = "image-text-to-text"
_COPIED = ("*.safetensors", "*.safetensors.index.json", "generation_config.json", "tokenizer*", *RESOURCE_FILES)
_BESIDE = (QUALITY_FILE, STATISTICS_FILE)
"""Files beside the folders of weights: the checks of images, and what badges compare with."""
_HUB_NAMES = {"iu_xray": "IU X-Ray", "mimic_cxr": "MIMIC-CXR"}
_USE = """## Use

```python
from transformers import AutoModelForImageTextToText, AutoProcessor

folder = "{name}"  # this folder, or its id on the hub
processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
model = AutoModelForImageTextToText.from_pretrained(folder, trust_remote_code=True).eval()
ids = model.generate(**processor(images=["frontal.png", "lateral.png"]))
print(processor.batch_decode(ids)[0])
```

It needs `pip install {packages}`. The code in this folder is that of the package `rrg`, whose
`Reporter.from_pretrained` loads the folder too and adds maps, checks of the images and DICOM."""
_PACKAGES = "torch torchvision transformers timm safetensors tokenizers numpy scipy rapidfuzz pillow"


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    files: int
    bytes: int


def export_model(folder: Path | str, out: Path | str) -> Exported:
    """Write the folder `out` from a folder of weights; it appears when it is complete.

    Raises InputError where `out` exists, or the weights are not whole.
    """
    folder, out = Path(folder), Path(out)
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} holds no model. Name a folder of weights, or a name that `models` lists.")
    if out.exists():
        raise InputError(f"{out} is there already. Name a new folder, or remove it first.")
    model_class = ARCHITECTURES[check_weights(folder)].load()
    code = exported_code(model_class)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    shared = shared_encoder(folder)
    with replaced(out) as temporary:
        temporary.mkdir()
        for pattern in _COPIED:
            for path in folder.glob(pattern):
                shutil.copyfile(path, temporary / path.name)
        if shared is not None:
            config["image_encoder_file"] = shared[0].name
            for path in (shared[0], *(shared[0].with_name(name) for name in _BESIDE)):
                if path.is_file():
                    shutil.copyfile(path, temporary / path.name)
        for name, source in code.files.items():
            (temporary / name).write_text(source, encoding="utf-8")
        settings = model_class.config_class(**{name: config[name] for name in config if name != "architectures"})
        write_configuration(temporary, config, ReportImageProcessor.of_config(settings), code)
        (temporary / "README.md").write_text(hub_card(folder, temporary, out.name), encoding="utf-8")
    return Exported(len(list(out.iterdir())), bytes_on_disk(out))


def write_configuration(folder: Path, config: dict[str, Any], images: ReportImageProcessor, code: ExportedCode) -> None:
    """Write the configurations of model, processor and tokenizer, with the classes that the auto classes take."""
    models = dict.fromkeys(("AutoModel", "AutoModelForImageTextToText"), code.model)
    _write_json(folder / "config.json", {**config, "auto_map": {"AutoConfig": code.config, **models}})
    processors = {"AutoImageProcessor": code.image_processor, "AutoProcessor": code.processor}
    ReportProcessor(images, ReportTokenizer.from_pretrained(folder)).to_json_file(folder / "processor_config.json")
    saved = json.loads((folder / "processor_config.json").read_text(encoding="utf-8"))
    saved["auto_map"] = saved["image_processor"]["auto_map"] = processors
    _write_json(folder / "processor_config.json", saved)
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    _write_json(folder / "tokenizer_config.json", {**tokenizer, "auto_map": {"AutoTokenizer": [None, code.tokenizer]}})


def hub_card(folder: Path, exported: Path, name: str) -> str:
    """The card of the folder's README with the metadata that the hub reads, and how to use the exported folder."""
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else f"# {name}\n"
    found = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    written = (yaml.safe_load(found[1]) if found else None) or {}
    body = text[found.end() :] if found else text
    results = measured(folder)
    data = ModelCardData(
        model_name=name,
        language="en",
        library_name="transformers",
        pipeline_tag=TASK,
        license=written.get("license", "other"),
        license_name="research-use-only",
        license_link="README.md",
        tags=[*dict.fromkeys([*written.get("tags", ()), "custom_code"])],
        datasets=sorted({result.dataset_type for result in results}) or None,
        metrics=[result.metric_type for result in results] or None,
        eval_results=results or None,
    )
    digest = f"Weights sha256 of this folder: `{weights_digest(exported)}`."
    return f"---\n{data.to_yaml()}\n---\n{body.rstrip()}\n\n{_USE.format(name=name, packages=_PACKAGES)}\n\n{digest}\n"


def measured(folder: Path) -> list[EvalResult]:
    """The figures of results.json, where it belongs to these weights; else none."""
    path = folder / "results.json"
    if not path.is_file():
        return []
    record = json.loads(path.read_text(encoding="utf-8"))
    if record.get("weights_sha256") != weights_digest(folder):
        return []
    data, model = str(record["data"]), record["model"]
    return [
        EvalResult(
            task_type=TASK,
            task_name="Radiology report generation",
            dataset_type=data,
            dataset_name=_HUB_NAMES.get(data, data),
            dataset_split=record["split"],
            metric_type=metric.lower(),
            metric_name=f"{metric} ({record['protocols'].get(group, record['labeler'])})",
            metric_value=record["figures"][group][model][key][0],
        )
        for metric, (group, key) in METRICS.items()
        if key in record["figures"][group][model]
    ]


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
