"""The card of a bundled model: architecture, data, training, decoding, results and limits.

Names come from the table of architectures, sizes from the configuration of the weights, training from the recipe, and
results from the published results.json. Text that all bundled models share is written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from publishing.encoder_figures import EncoderFigures
from publishing.figures import PRECISION, PROTOCOLS, RECALL, PublishedModel, PublishedResults
from publishing.pages import join_names, split_name
from publishing.tables import clinical_table, language_table, number, per_cent, protocol_line
from recipes import RECIPES, SMALL, Recipe

STARTED_FROM = {
    "vit_gpt2": "weights of 12 epochs in which studies with a finding were sampled twice as often (`--start-from`), "
    "and ran for 5 epochs",
    "csr_lmca": "weights of 4 epochs in which studies with a finding were sampled twice as often (`--start-from`)",
}
"""Bundled model -> the weights its training started from, if they came from another run."""
BACKBONES = {"mobilenetv2_100": "MobileNetV2", "tf_efficientnet_lite0": "EfficientNet-Lite0"}
OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW"}
PRECISIONS = {"float16": "half", "float32": "single"}
FRONT_MATTER = """---
library_name: transformers
tags: [medical, radiology, chest-x-ray, report-generation]
license: other
---"""
MIN_SUPPORT = 5
"""Minimum number of references with a finding for the card to list it as never named."""


def card(model: PublishedModel, encoder: EncoderFigures | None = None) -> str:
    """The text of weights/NAME/README.md. `encoder`: what the file of the image encoder says, if it says something."""
    return "\n".join(_lines(model, encoder)) + "\n"


def recipe_of(model: PublishedModel) -> Recipe:
    """The recipe that trained the model on the references."""
    return RECIPES[model.config["model_type"]]["small"]


def _lines(model: PublishedModel, encoder: EncoderFigures | None) -> Iterator[str]:
    results = model.results
    yield from (FRONT_MATTER, f"# {model.name}, small", "")
    yield (
        "Writes the findings section of a chest X-ray report from a frontal view, a lateral view or both. "
        "**Research use only; not a medical device.** Its reports are often wrong."
    )
    yield from ("", f"**Architecture.** {_architecture(model)}", "")
    yield (
        "**Data.** Indiana University Chest X-ray Collection (Open-i, CC BY-NC-ND 4.0), split as in R2Gen: "
        f"{results.train_studies:,} train studies. The image encoder was also trained on 871 studies outside the "
        "split, with labels from their reports by the rule labeler of this project."
    )
    yield (
        f"The image encoder started from ImageNet weights of {_backbone(model)} (Apache-2.0). "
        "The images of the data are 256 x 256, from one hospital network, with two views."
    )
    if encoder is not None:
        yield encoder.data()
    yield from ("", f"**Recipe.** {_training(model)}")
    yield "`train/LOG.md` has the commands, and the experiments that did not help."
    yield from (
        "",
        f"**Decoding.** {_decoding(results.decoding, recipe_of(model))}. All settings were selected on val.",
    )
    yield ""
    yield f"**Results** on the {split_name(model)}, compared with trivial baselines; command: `{results.command}`."
    yield (
        f"In brackets 95 % bootstrap intervals over the studies; bold is the best of a column. Measured "
        f"{results.created_at[:10]} with {_versions(results.versions)}; weights sha256 "
        f"`{results.weights_sha256[:12]}`."
    )
    for protocol in PROTOCOLS:
        yield from ("", protocol_line(model, protocol), "")
        yield from language_table([model], protocol, lambda _: "this model")
    for metric, why in results.not_computed.items():
        yield from ("", f"{metric}: {why}.")
    yield from ("", f"Findings in the reports ({results.labeler}); seconds on {results.machine}:", "")
    yield from clinical_table([model], lambda _: "this model")
    yield from ("", *_behaviour(results))
    if encoder is not None:
        yield from encoder.results()
    yield from ("", f"**Limits.** {' '.join(_limits(model))}", "")
    yield (
        "**Licence and use.** Trained on data under CC BY-NC-ND 4.0: research use only. "
        f"The ImageNet weights of {_backbone(model)} are under Apache-2.0."
    )


def _architecture(model: PublishedModel) -> str:
    config, recipe = model.config, recipe_of(model)
    own = {
        key: config[key]
        for key, value in recipe.config.items()
        if key not in SMALL and isinstance(value, int | float) and key in config
    }
    sizes = "".join(f", `{key}` {value}" for key, value in own.items())
    precision = PRECISIONS.get(config["dtype"], config["dtype"])
    return (
        f"{model.info.title}: {model.info.paper}. {_backbone(model)} image encoder on {config['image_size']} x "
        f"{config['image_size']} pixels, hidden size {config['hidden_size']}, {config['num_encoder_layers']} encoder "
        f"and {config['num_decoder_layers']} decoder layers{sizes}. "
        f"{(model.info.parameters or 0) / 1e6:.1f} M parameters in {precision} precision."
    )


def _backbone(model: PublishedModel) -> str:
    name: str = model.config["backbone"]
    return BACKBONES.get(name, name)


def _training(model: PublishedModel) -> str:
    recipe = recipe_of(model)
    frozen = (
        "image encoder frozen"
        if recipe.lr_encoder == 0
        else f"learning rate {_short(recipe.lr_encoder)} for the image encoder"
    )
    architecture = model.config["model_type"]
    parts = [
        f"`train/recipes/{architecture}.py`, `small`: {frozen}; {OPTIMIZERS[recipe.optimizer]}",
        f"learning rate {_short(recipe.lr_rest)}",
        f"at most {recipe.epochs} epochs",
    ]
    if recipe.abnormal_weight != 1:
        rare = " (with a rare finding up to six times)" if recipe.rarity_exponent else ""
        parts.append(f"studies with a finding sampled {recipe.abnormal_weight:g} times as often{rare}")
    if recipe.config.get("loss_weights"):
        losses = ", ".join(f"{name} {weight:g}" for name, weight in recipe.config["loss_weights"].items())
        parts.append(f"auxiliary losses (weights: {losses})")
    parts.append("random horizontal flips" if recipe.horizontal_flip else "no horizontal flips")
    text = ", ".join(parts) + "."
    if model.name in STARTED_FROM:
        text += f" Training started from {STARTED_FROM[model.name]}."
    return text


def _decoding(decoding: Mapping[str, Any], recipe: Recipe) -> str:
    mbr = decoding.get("consensus")
    parts = [_mbr(mbr) if mbr else _beam_search(decoding)]
    if decoding.get("no_repeat_ngram_size"):
        parts.append(f"no repeated {decoding['no_repeat_ngram_size']}-gram")
    parts.append(f"never {' or '.join(f'`{word}`' for word in ('<unk>', *recipe.suppressed_words))}")
    return ", ".join(parts)


def _mbr(settings: Mapping[str, Any]) -> str:
    utility = ["ROUGE-L"]
    if settings.get("cider_weight"):
        utility.append(f"CIDEr with weight {settings['cider_weight']:g}")
    if settings.get("findings_bars") and settings.get("findings_weight"):
        utility.append(f"finding probabilities of the image classifier with weight {settings['findings_weight']:g}")
    bank = "whole sentences of train reports or plain statements; " if settings.get("sentence_bank") else ""
    return (
        f"MBR decoding over recombined sentences of {settings['samples']} samples (temperature "
        f"{settings['temperature']:g}; utility: {join_names(utility)}; {bank}no sentence repeats or "
        "contradicts another by the rule labeler; `rrg/decoding/mbr.py`)"
    )


def _beam_search(decoding: Mapping[str, Any]) -> str:
    penalty = decoding.get("length_penalty", 0)
    scores = (
        f"log-probabilities divided by the length to the power of {penalty:g}"
        if penalty
        else "summed log-probabilities"
    )
    return f"Beam search with {decoding['num_beams']} beams, {scores}"


def _versions(versions: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items() if version and name != "rrg")


def _behaviour(results: PublishedResults) -> Iterator[str]:
    behaviour = results.behaviour
    yield (
        f"{behaviour.distinct_by_system[results.model]} distinct reports among {results.studies} "
        f"(references: {behaviour.distinct_references}). "
        f"{per_cent(behaviour.most_common_share)} of the studies get the most common report."
    )
    black, shuffled = behaviour.black_images, behaviour.shuffled_images
    yield (
        f"Black images change {black.changed} of the {black.studies} reports that are not the most common one; "
        f"images of another study change {shuffled.changed} of the {shuffled.studies} reports of studies with "
        "a finding."
    )
    if results.classifier_auroc:
        figures = (
            f"{name.lower()} {number(auroc.value)} ({auroc.positives})"
            for name, auroc in results.classifier_auroc.items()
        )
        yield f"AUROC of the classifier on the images (positive studies): {', '.join(figures)}."


def _limits(model: PublishedModel) -> Iterator[str]:
    micro, macro, precision, recall = (
        model.value("clinical", metric) or 0.0 for metric in ("micro-F1-13", "macro-F1-13", PRECISION, RECALL)
    )
    yield (
        f"Of the findings in the references (13 classes), it names {per_cent(recall)}; "
        f"of the findings it names, {per_cent(precision)} are in the reference."
    )
    neighbour = [model.value("clinical", metric, "nearest neighbour") for metric in ("micro-F1-13", "macro-F1-13")]
    if neighbour[0] is not None and neighbour[1] is not None:
        yield (
            f"Micro-F1 is {number(micro)} and macro-F1 {number(macro)}; "
            f"the nearest neighbour has {number(neighbour[0])} and {number(neighbour[1])}."
        )
    missed = [
        f"{name.lower()} ({counts.support})"
        for name, counts in model.results.findings.items()
        if name != "No Finding" and counts.support >= MIN_SUPPORT and counts.recall == 0
    ]
    if missed:
        yield f"Never named where the reference has them (studies): {', '.join(missed)}."
    size = model.config["image_size"]
    yield (
        f"Small findings are hard to detect at {size} x {size} pixels. "
        "The reports are of one hospital network; children, portable images and supine patients are not among them."
    )


def _short(value: float) -> str:
    """8e-4, as recipes write it."""
    return f"{value:.0e}".replace("e-0", "e-") if value < 0.01 else f"{value:g}"
