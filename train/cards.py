"""The card of a bundled model: what it is, how it was trained, what it can do and what it cannot.

Names come from the table of architectures, sizes from the weights, training from `recipes.py`, and whatever is said of
its reports from the figures beside the weights. What all bundled weights have in common is written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from figures import CLINICAL, PROTOCOLS, Published, clinical_table, language_table, number, per_cent, protocol_line
from recipes import RECIPES, SMALL, Recipe
from results_block import split_name

STARTED_FROM = {
    "vit_gpt2": "weights of 12 epochs in which studies with a finding were drawn twice as often (`--start-from`, and "
    "5 epochs from there)",
    "csr_lmca": "weights of 4 epochs in which studies with a finding were drawn twice as often (`--start-from`)",
}
"""Bundled models whose training began with weights that another run left."""
BACKBONES = {"mobilenetv2_100": "MobileNetV2"}
OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW"}
PRECISIONS = {"float16": "half", "float32": "single"}
FRONT_MATTER = """---
library_name: transformers
tags: [medical, radiology, chest-x-ray, report-generation]
license: other
---"""
_RATES = ("micro-precision-13", "micro-recall-13")
_FEWEST_MISSED = 5
"""Studies with a finding that is never written before the card says that it is not seen."""


def card(model: Published) -> str:
    """The text of weights/NAME/README.md."""
    return "\n".join(_lines(model)) + "\n"


def recipe_of(model: Published) -> Recipe:
    """How the model was trained on the words of the references."""
    return RECIPES[model.config["model_type"]]["small"]


def _lines(model: Published) -> Iterator[str]:
    figures = model.figures
    yield from (FRONT_MATTER, f"# {model.info.name}, small", "")
    yield (
        "Writes the findings section of a chest X-ray report from a frontal view, a lateral view or both. "
        "**Research use only; not a medical device.** Its reports are often wrong."
    )
    yield from ("", f"**Architecture.** {_architecture(model)}", "")
    yield (
        "**Data.** Indiana University Chest X-ray Collection (Open-i, CC BY-NC-ND 4.0), split as in R2Gen: "
        f"{figures['train_studies']:,} train studies; the image encoder also saw 871 studies outside the split, "
        "labelled from their text by the rule labeler of this project."
    )
    yield (
        f"ImageNet weights of {_backbone(model)} (Apache-2.0) to begin with. "
        "Images are 256 x 256, one hospital network, two views."
    )
    yield from ("", f"**Recipe.** {_training(model)}")
    yield "Commands and what did not work: `train/LOG.md`."
    yield f"{_decoding(figures['decoding'], recipe_of(model))}: chosen on val."
    yield ""
    yield f"**Figures** on the {split_name(model)}, beside what needs no model; command: `{figures['command']}`."
    yield (
        f"In brackets 95 % bootstrap intervals over the studies; bold is the best of a column. Measured "
        f"{figures['created_at'][:10]} with {_versions(figures['versions'])}; weights sha256 "
        f"`{figures['weights_sha256'][:12]}`."
    )
    for protocol in PROTOCOLS:
        yield from ("", protocol_line(model, protocol), "")
        yield from language_table([model], protocol, lambda _: "this model")
    for metric, why in figures["not_computed"].items():
        yield from ("", f"{metric}: {why}.")
    yield from ("", f"Findings in the text ({figures['labeler']}); seconds on {figures['machine']}:", "")
    yield from clinical_table([model], lambda _: "this model")
    yield from ("", *_behaviour(figures))
    yield from ("", f"**Limits.** {' '.join(_limits(model))}", "")
    yield (
        "**Licence and use.** Trained on data under CC BY-NC-ND 4.0: research use only. "
        f"The image encoder started from {_backbone(model)} ImageNet weights under Apache-2.0."
    )


def _architecture(model: Published) -> str:
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
        f"{(model.info.parameters or 0) / 1e6:.1f} M numbers in {precision} precision."
    )


def _backbone(model: Published) -> str:
    name: str = model.config["backbone"]
    return BACKBONES.get(name, name)


def _training(model: Published) -> str:
    recipe = recipe_of(model)
    frozen = (
        "the encoder frozen" if recipe.lr_encoder == 0 else f"learning rate {_short(recipe.lr_encoder)} of the encoder"
    )
    parts = [
        f"`train/recipes.py`, `{model.config['model_type']}` / `small`: {frozen}; {OPTIMIZERS[recipe.optimizer]}",
        f"learning rate {_short(recipe.lr_rest)}",
        f"at most {recipe.epochs} epochs",
    ]
    if recipe.abnormal_weight != 1:
        rare = ", with a rare one up to six times" if recipe.rarity_exponent else ""
        parts.append(f"studies with a finding drawn {recipe.abnormal_weight:g} times as often{rare}")
    if recipe.config.get("loss_weights"):
        losses = ", ".join(f"{name} {weight:g}" for name, weight in recipe.config["loss_weights"].items())
        parts.append(f"losses beside that of the words ({losses})")
    parts.append("mirrored images" if recipe.horizontal_flip else "no mirroring")
    text = ", ".join(parts) + "."
    if model.info.name in STARTED_FROM:
        text += f" It began with {STARTED_FROM[model.info.name]}."
    return text


def _decoding(decoding: Mapping[str, Any], recipe: Recipe) -> str:
    penalty, consensus = decoding.get("length_penalty", 0), decoding.get("consensus")
    if consensus:
        cider = consensus.get("cider_weight", 0)
        measures = f"ROUGE-L, and CIDEr with a weight of {cider:g}" if cider else "ROUGE-L"
        parts = [
            f"Sentences of {consensus['samples']} sampled reports (temperature {consensus['temperature']:g}), put "
            f"together to the report that agrees best with all of them ({measures}), whose findings the classifier on "
            "the images believes in, and in which, to the rule labeler, no sentence repeats or contradicts another "
            "(`rrg/consensus.py`)"
        ]
    else:
        parts = [
            f"Beam search of {decoding['num_beams']}",
            f"the log-probability divided by the length to the power of {penalty:g}"
            if penalty
            else "log-probabilities summed",
        ]
    if decoding.get("no_repeat_ngram_size"):
        parts.append(f"no sequence of {decoding['no_repeat_ngram_size']} words twice")
    parts.append(f"never {' or '.join(f'`{word}`' for word in ('<unk>', *recipe.suppressed_words))}")
    return ", ".join(parts)


def _versions(versions: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items() if version and name != "rrg")


def _behaviour(figures: Mapping[str, Any]) -> Iterator[str]:
    behaviour = figures["behaviour"]
    yield (
        f"{behaviour['distinct_by_system'][figures['model']]} distinct reports among {figures['studies']} "
        f"(the radiologists': {behaviour['distinct_references']}); "
        f"the most common one stands for {per_cent(behaviour['most_common_share'])} of the studies."
    )
    black, shuffled = behaviour["black_images"], behaviour["shuffled_images"]
    yield (
        f"Black images change {black['changed']} of the {black['studies']} reports that are not the most common one; "
        f"images of another study change {shuffled['changed']} of the {shuffled['studies']} reports of studies with "
        "a finding."
    )
    if figures["classifier_auroc"]:
        found = (
            f"{name.lower()} {number(auroc['value'])} ({auroc['positives']})"
            for name, auroc in figures["classifier_auroc"].items()
        )
        yield f"AUROC of the classifier on the images (positive studies): {', '.join(found)}."


def _limits(model: Published) -> Iterator[str]:
    clinical = {metric: model.value("clinical", metric) or 0.0 for metric in (*CLINICAL, *_RATES)}
    precision, recall = (clinical[rate] for rate in _RATES)
    yield (
        f"Of the findings that references name, over 13 kinds, it names {per_cent(recall)}; "
        f"of those it names, {per_cent(precision)} are in the reference."
    )
    neighbour = [model.value("clinical", metric, "nearest neighbour") for metric in ("micro-F1-13", "macro-F1-13")]
    if neighbour[0] is not None and neighbour[1] is not None:
        yield (
            f"Micro-F1 {number(clinical['micro-F1-13'])} and macro-F1 {number(clinical['macro-F1-13'])}; "
            f"the nearest neighbour has {number(neighbour[0])} and {number(neighbour[1])}."
        )
    missed = [
        f"{name.lower()} ({score['support']})"
        for name, score in model.figures["findings"].items()
        if name != "No Finding" and score["support"] >= _FEWEST_MISSED and score["recall"] == 0
    ]
    if missed:
        yield f"Never named where the reference has them (studies): {', '.join(missed)}."
    size = model.config["image_size"]
    yield (
        f"Small findings are hardly to be seen at {size} x {size}. "
        "Other hospitals, children, portable and lying patients were not in the data."
    )


def _short(value: float) -> str:
    """8e-4, as recipes write it."""
    return f"{value:.0e}".replace("e-0", "e-") if value < 0.01 else f"{value:g}"
