"""What each map of the architectures' own shows, in plain words."""

from __future__ import annotations

_MEANING: dict[str, dict[str, str]] = {
    "camanet": {
        "discriminative map": "Areas that speak most for any finding that the model's classifier predicts.",
        "class map": "Areas that speak for this finding in the model's classifier.",
    },
    "csr_lmca": {
        "saliency mask (SDAM)": "Areas that stay visible in the second, masked copy of the image that the model reads.",
        "Mamba pooling weights": "Share of each area in the summary of the image that is added to every area.",
        "region pooling weights": "Areas that stand for their neighbourhood when the model compares distant regions.",
    },
    "lgfm_net": {
        "kernel energy": "Strength of the filter that the model makes for each area from its surroundings.",
        "kept tokens": "How often the other areas chose to look at this one.",
        "mixing gate": "High: the model relies on details of the area; low: on the image as a whole.",
        "spatial gate": "Areas whose details the model lets through.",
    },
    "r2gen_cmn": {
        "memory response": "How strongly the model's memory answers each area: the length of what it adds to the area.",
        "memory shared with the report": "How far each area recalls the same memory slots as the words of the report.",
    },
    "sgrrg": {
        "region probability": "Probability that the report describes the anatomical region under the box.",
        "abnormal attribute probability": "Probability that the report names something abnormal in the region.",
        "region attention": "Attention to each anatomical region, averaged over the words of the report.",
    },
    "vit_gpt2": {
        "attention rollout": "Areas from which the image encoder gathers its summary, followed through all its layers.",
    },
    "xpronet": {
        "prototypes": "How much of what each area recalls from memory belongs to this finding.",
    },
}
"""By architecture and name. A map "class map: Edema" has the meaning of "class map"."""


def meanings(architecture: str) -> dict[str, str]:
    """Return the names of an architecture's own maps, each with one sentence; empty for one without maps."""
    return dict(_MEANING.get(architecture, {}))


def meaning(architecture: str, name: str) -> str:
    """Return one sentence on the map `name` of an architecture (`model_type`); empty for a map that is not known."""
    return _MEANING.get(architecture, {}).get(name.split(": ")[0], "")
