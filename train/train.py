"""Train an architecture.

    python train/train.py r2gen_cmn --data DIR --encoder runs/encoder/image_encoder.safetensors --out weights/r2gen_cmn
    python train/train.py r2gen_cmn --stage scst --start-from weights/r2gen_cmn --out weights/r2gen_cmn ...
    accelerate launch train/train.py r2gen_cmn --size published_mimic ...      # several GPUs

Each epoch reports are generated for the val split and scored; the best checkpoint is written to --out as a folder
that the app, the command line and `rrg.Reporter` read. Started again with the same --work, an interrupted run goes on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from calibrate import calibrate, findings_bars
from features import FeatureDataset, cached_features
from prototypes import with_prototypes
from recipes import RECIPES, Recipe, self_critical
from rewards import ReportReward
from safetensors.torch import load_file
from sdam import with_sdam
from self_critical import SelfCriticalTrainer
from trainer import ReportTrainer, ValScore
from transformers import EarlyStoppingCallback, GenerationConfig, Seq2SeqTrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from rrg.data.annotation import read_annotation
from rrg.data.batches import SceneGraphs, StudyDataset, collate, scene_graph_of_study
from rrg.data.sources.chest_imagenome import read_scene_graphs
from rrg.data.studies import Study
from rrg.data.tokenizer import UNKNOWN, WORD_START, ReportTokenizer
from rrg.data.transforms import ViewTransform, training_augmentation
from rrg.decoding.ngrams import NgramFrequencies
from rrg.errors import InputError
from rrg.inference.cpu import spare_memory
from rrg.labels.scene_graph_rules import ATTRIBUTE_SIZES
from rrg.models import ARCHITECTURES
from rrg.models.base import ReportModel
from rrg.models.vit_gpt2.model import ViTGPT2


@dataclass(frozen=True)
class Run:
    """What to train, on what, and where to."""

    architecture: Annotated[str, tyro.conf.Positional]
    """One of the names that `python -m rrg models` lists."""
    data: Path
    """Folder with annotation.json and images/ or images.tar."""
    out: Path
    """Receives the weights and nothing else."""
    work: Path = Path("runs")
    """Keeps checkpoints and the curve in a folder for each architecture, size and stage, and features for all."""
    size: str = "small"
    """Recipe: small, or a published one."""
    stage: Literal["likelihood", "scst"] = "likelihood"
    """likelihood learns from the words of the references; scst, self-critical sequence training, goes on from such a
    model (--start-from) with rewards for whole reports."""
    start_from: Path | None = None
    """Folder of weights to go on from."""
    encoder: Path | None = None
    """Image encoder of train/pretrain_encoder.py; without it the backbone starts from random weights."""
    share_encoder: bool = False
    """Leave the frozen image encoder out of --out: a copy of its file beside --out serves all models there."""
    prototypes: Path | None = None
    """XProNet: initial prototypes of train/prototypes.py; without them they start from random numbers."""
    sdam: Path | None = None
    """CSR-LMCA: thresholds and perhaps a discriminator of train/sdam.py; without it the thresholds are 0.5."""
    scene_graphs: Path | None = None
    """SGRRG: folder with the files of Chest ImaGenome (`rrg.data.sources.chest_imagenome`); without it, rules read the
    graphs in the reports."""
    vision_model: Path | None = None
    """ViT-GPT2: folder (or hub name) of a pretrained ViT."""
    language_model: Path | None = None
    """ViT-GPT2: folder (or hub name) of a pretrained GPT-2, whose byte pairs are taken too, or BioGPT."""
    epochs: int | None = None
    """In place of the recipe's."""
    limit: int | None = None
    """Train on the first studies only, to try things out."""
    seed: int | None = None


def build_model(
    recipe: Recipe,
    architecture: str,
    tokenizer: ReportTokenizer,
    encoder: Path | None,
    prototypes: Path | None = None,
    sdam: Path | None = None,
) -> ReportModel:
    """A model of the recipe's sizes; with `encoder`, its image encoder is the one in that file.

    With `prototypes`, their number and length are the file's as well; with `sdam`, thresholds and discriminator.
    """
    kind = ARCHITECTURES[architecture].load()
    ends = dict.fromkeys(
        ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), tokenizer.eos_token_id
    )
    config = {"vocab_size": len(tokenizer), **ends, **recipe.config}
    if prototypes is not None:
        model = with_prototypes(kind, config, prototypes)
    elif sdam is not None:
        model = with_sdam(kind, config, sdam)
    else:
        model = kind(kind.config_class(**config))
    if encoder is not None:
        if not encoder.is_file():
            raise InputError(f"There is no {encoder}. Make it with train/pretrain_encoder.py.")
        model.image_encoder.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in load_file(encoder).items()}
        )
    model.generation_config = decoding(recipe, tokenizer)
    return model


def decoding(recipe: Recipe, tokenizer: ReportTokenizer) -> GenerationConfig:
    """How the trained model writes: beams, their length penalty, and never the sign for a rare word."""
    known, end, unwritten = tokenizer.get_vocab(), tokenizer.eos_token_id, (UNKNOWN, *recipe.unwritten)
    return GenerationConfig(
        num_beams=recipe.beams,
        length_penalty=recipe.length_penalty,
        max_length=recipe.max_length,
        no_repeat_ngram_size=recipe.no_repeat_ngram,
        suppress_tokens=[known[piece] for word in unwritten for piece in (word, WORD_START + word) if piece in known],
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=end,
        **({} if recipe.consensus is None else {"consensus": recipe.consensus.to_dict()}),
    )


def save(
    model: ReportModel,
    tokenizer: ReportTokenizer,
    recipe: Recipe,
    out: Path,
    train_reports: Sequence[str],
    shared_encoder: Path | None = None,
) -> None:
    """Write half-precision weights in files under 10 MB, configuration, generation settings and vocabulary.

    Where the consensus asks for them, the frequencies of the train reports' n-grams too. With `shared_encoder`, the
    file that the frozen image encoder came from, these weights stand there alone: a copy of it goes beside `out`, for
    all models there. Raises InputError when another one is there.
    """
    model.generation_config = decoding(recipe, tokenizer)  # evaluation filled it up with the library's defaults
    model.config.use_cache = True  # training switches it off
    model.config.image_encoder_file = None
    state = model.half().state_dict()
    if shared_encoder is not None:
        model.config.image_encoder_file = f"../{share(shared_encoder, out.parent).name}"
        state = {name: tensor for name, tensor in state.items() if not name.startswith("image_encoder.")}
    model.save_pretrained(out, max_shard_size="9MB", state_dict=state)
    tokenizer.save_pretrained(out)
    if recipe.consensus is not None and recipe.consensus.cider_weight:
        texts = (tokenizer.decode_words(tokenizer.encode_report(text, recipe.max_length)) for text in train_reports)
        NgramFrequencies.of(texts).save_pretrained(out)


def share(encoder: Path, folder: Path) -> Path:
    """A copy of the image encoder's file in `folder`. Raises InputError when a different one is there."""
    shared = folder / encoder.name
    if not shared.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = shared.with_suffix(".tmp")
        shutil.copyfile(encoder, temporary)
        os.replace(temporary, shared)
    elif shared.read_bytes() != encoder.read_bytes():
        raise InputError(
            f"{shared} is another image encoder than {encoder}, and models share it. Name an --out in another folder."
        )
    return shared


def vocabulary(run: Run, recipe: Recipe, train_reports: Sequence[str]) -> ReportTokenizer:
    """Words or byte pairs of the train split's reports; those of a pretrained GPT-2 where one is given."""
    if not recipe.byte_pairs:
        return ReportTokenizer.build(train_reports, recipe.threshold, recipe.cleaner)
    if run.language_model is not None and recipe.config.get("language_model", "gpt2") == "gpt2":
        return ReportTokenizer.of_gpt2(run.language_model, recipe.cleaner)
    return ReportTokenizer.build_byte_pairs(train_reports, recipe.byte_pairs, recipe.cleaner)


def start(run: Run, recipe: Recipe, train_reports: Sequence[str]) -> tuple[ReportModel, ReportTokenizer]:
    """The model that training begins with, and its vocabulary."""
    if run.start_from is None:
        if run.stage == "scst":
            raise InputError("The self-critical stage goes on from a trained model: name its folder by --start-from.")
        tokenizer = vocabulary(run, recipe, train_reports)
        model = build_model(recipe, run.architecture, tokenizer, run.encoder, run.prototypes, run.sdam)
        if run.vision_model is not None or run.language_model is not None:
            if not isinstance(model, ViTGPT2):
                raise InputError(
                    f"{run.architecture} has no pretrained parts; leave --vision-model and --language-model out."
                )
            model.load_pretrained_parts(run.vision_model, run.language_model)
        return model, tokenizer
    if not (run.start_from / "config.json").is_file():
        raise InputError(f"{run.start_from} holds no model: there is no config.json in it.")
    tokenizer = ReportTokenizer.from_pretrained(run.start_from)
    model = ARCHITECTURES[run.architecture].load().from_pretrained(run.start_from, dtype=torch.float32)
    model.generation_config = decoding(recipe, tokenizer)
    return model, tokenizer


def main(run: Run) -> None:
    """Train, and write the best checkpoint by val score with its vocabulary and its curve."""
    spare_memory()
    if run.architecture not in RECIPES or run.size not in RECIPES[run.architecture]:
        known = ", ".join(f"{name} ({', '.join(sizes)})" for name, sizes in RECIPES.items())
        raise InputError(f"There is no recipe {run.size!r} for {run.architecture!r}. There are: {known}.")
    recipe = RECIPES[run.architecture][run.size]
    if run.stage == "scst":
        recipe = self_critical(recipe)
    recipe = replace(recipe, epochs=run.epochs or recipe.epochs, seed=recipe.seed if run.seed is None else run.seed)
    set_seed(recipe.seed)

    work = run.work / f"{run.architecture}-{run.size}-{run.stage}"
    train_studies = [study for study in read_annotation(run.data, "train") if study.report][: run.limit]
    val_studies = [study for study in read_annotation(run.data, "val") if study.report][: run.limit]
    train_reports = [study.report for study in train_studies if study.report]
    model, tokenizer = start(run, recipe, train_reports)
    if recipe.lr_encoder == 0:
        model.image_encoder.requires_grad_(False)
    if run.share_encoder:
        if run.encoder is None or recipe.lr_encoder > 0:
            raise InputError("--share-encoder needs a frozen image encoder, and --encoder that names its file.")
        share(run.encoder, run.out.parent)  # now, before hours of work: it refuses another one that is there
    for name, parameter in model.named_parameters():
        if recipe.frozen is not None and re.match(recipe.frozen, name):
            parameter.requires_grad_(False)
    train_set, val_set = datasets(run, recipe, model, tokenizer, train_studies, val_studies)
    print(
        f"{run.architecture} {run.size}: {len(train_set)} train and {len(val_set)} val studies, {len(tokenizer)} words"
    )
    calibrate(model, train_set, recipe.predicted_share)
    trainer = trainer_of(run, recipe, model, tokenizer, train_set, val_set, work / "checkpoints")
    checkpoints = work / "checkpoints"
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None)
    if trainer.is_world_process_zero():
        calibrate(model, train_set, recipe.predicted_share)  # the best checkpoint is not the last
        if recipe.consensus is not None:
            bars = findings_bars(model, train_set, recipe.bar_share)
            recipe = replace(recipe, consensus=replace(recipe.consensus, findings_bars=bars))
        save(model, tokenizer, recipe, run.out, train_reports, run.encoder if run.share_encoder else None)
        described = {"run": asdict(run), "recipe": asdict(recipe), "history": trainer.state.log_history}
        (work / "curve.json").write_text(json.dumps(described, indent=1, default=str))


def datasets(
    run: Run,
    recipe: Recipe,
    model: ReportModel,
    tokenizer: ReportTokenizer,
    train_studies: Sequence[Study],
    val_studies: Sequence[Study],
) -> tuple[StudyDataset | FeatureDataset, StudyDataset | FeatureDataset]:
    """Train and val studies as the model reads them: images, or features of its frozen encoder kept on disk."""
    config = model.config
    clean = ViewTransform(config.image_size, tuple(config.image_mean), tuple(config.image_std))
    augmentation = training_augmentation(flip=recipe.horizontal_flip) if recipe.augment else None
    text = (tokenizer, recipe.max_length, config.num_views, scene_graphs_of(run, model))
    train_set = StudyDataset(train_studies, replace(clean, augmentation=augmentation), *text)
    val_set = StudyDataset(val_studies, clean, *text)
    if not recipe.feature_variants:
        return train_set, val_set
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kept = run.work / "features"  # of all architectures: those with one frozen encoder share them
    return (
        cached_features(model, train_set, recipe.feature_variants, kept, device),
        cached_features(model, val_set, 1, kept, device),
    )


def scene_graphs_of(run: Run, model: ReportModel) -> SceneGraphs | None:
    """Where the scene graphs come from that the model learns from, if it learns from any.

    Raises InputError when the model has other attributes than the rules, and no files are named.
    """
    if not model.reads_scene_graphs:
        return None
    sizes = tuple(getattr(model.config, "attribute_sizes", ()))
    if run.scene_graphs is not None:
        return read_scene_graphs(run.scene_graphs, sizes).of_study
    if sizes != ATTRIBUTE_SIZES:
        raise InputError(
            f"{run.architecture} {run.size} has the attributes of Chest ImaGenome: name the folder of its files by "
            "--scene-graphs, or take --size small, which reads scene graphs in the reports."
        )
    return scene_graph_of_study


def trainer_of(
    run: Run,
    recipe: Recipe,
    model: ReportModel,
    tokenizer: ReportTokenizer,
    train_set: StudyDataset | FeatureDataset,
    val_set: StudyDataset | FeatureDataset,
    checkpoints: Path,
) -> ReportTrainer:
    """The trainer of the run's stage."""
    arguments: dict[str, Any] = {
        "model": model,
        "args": Seq2SeqTrainingArguments(
            output_dir=str(checkpoints),
            num_train_epochs=recipe.epochs,
            per_device_train_batch_size=recipe.batch_size,
            per_device_eval_batch_size=32,
            lr_scheduler_type="cosine",
            warmup_steps=recipe.warmup_steps,
            max_grad_norm=recipe.max_grad_norm,
            bf16=True,
            use_cpu=not torch.cuda.is_available(),
            predict_with_generate=True,
            generation_num_beams=recipe.beams,
            generation_max_length=recipe.max_length,
            eval_strategy="epoch",
            eval_delay=recipe.evaluate_from,
            save_strategy="epoch",
            save_total_limit=2,
            load_best_model_at_end=True,
            metric_for_best_model="score",
            greater_is_better=True,
            label_names=["labels"],
            logging_steps=50,
            dataloader_num_workers=0 if recipe.feature_variants else 1,
            remove_unused_columns=False,
            report_to="none",
            seed=recipe.seed,
        ),
        "train_dataset": train_set,
        "eval_dataset": val_set,
        "data_collator": collate,
        "compute_metrics": ValScore(tokenizer),
        "callbacks": [EarlyStoppingCallback(recipe.patience)],
    }
    if run.stage == "likelihood":
        return ReportTrainer(recipe, **arguments)
    corpus = [" ".join(tokenizer.decode_words(item["labels"].tolist())) for item in train_set.text_items()]
    reward = ReportReward(corpus, recipe.reward)
    return SelfCriticalTrainer(recipe, tokenizer=tokenizer, reward=reward, **arguments)


if __name__ == "__main__":
    main(tyro.cli(Run, description=__doc__))
