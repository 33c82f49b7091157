"""SGRRG: Scene Graph Aided Radiology Report Generation (Wang et al., CMIG 2025).

The model reads a scene graph off the frontal view: which of 29 anatomical regions the report will describe, and what it
will say of each. Every region with its attributes becomes one vector, and each layer of the decoder attends to the
image and then to these vectors, so that a word can be traced to regions that have a name.

Symbol   Code                              Part                     Meaning
X        features                          -                        backbone's maps; tokens [B, N, D] after `project`
B_r      boxes[:, r]                       scene graph              box of region r: detected, or from an atlas
p_r      region_logits                     region selector          will the report describe region r?
b_r      `pool_boxes`, attribute_predictor attribute predictor      strongest features in B_r, after a small network
a_rj     attribute_logits                  attribute predictor      will it say attribute j of region r?
o_r      project(b_r) + kinds(r)           scene graph encoder      node of region r
a_j      norm(attributes(j) + kinds(R))    scene graph encoder      node of an attribute
g_r      regions                           scene graph encoder      maximum over the encoded nodes of region r's graph
L_d      losses["findings"]                disease classification   BCE of 14 findings on the mean token
L_r      losses["region"]                  region selector          BCE over all regions
L_a      losses["attribute"]               attribute predictor      BCE over all attributes of the described regions
L_s      losses["segregation"]             abnormality contrast     a region's vectors agree where their flags do

Departures from the published code. Its evaluation is given the reference's scene graph; here that graph is for training
alone, and a report is written from the predicted one: regions above 0.2, attributes above 0.5 or above thresholds of
their own. Where no detector gives boxes, they are those of an atlas (`rrg.labels.atlas`), so without Chest
ImaGenome no figure is comparable. Boxes do not follow the augmentation of an image, which moves it by a few percent. It
sees one view; here the regions lie in the frontal one, a study without it has none, and the words attend to the tokens
of all views. A view that is missing is masked. The width of the region networks (`region_size`) may differ from the
backbone's. Keys and values of image and regions are kept in the cache instead of being computed for every word. Left
out is what its scripts switch off: gates, hierarchical attention, other ways to encode the graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EncoderDecoderCache
from transformers import initialization as init

from rrg.labels.atlas import ATLAS, REGIONS
from rrg.layers.transformer import DecoderOutput, Encoder, TextEmbedding, causal_mask
from rrg.models.base import ClassThresholds, ReportConfig, ReportModel, visual_tokens
from rrg.models.outputs import ImageFeatures, Reference, ReportEncoderOutput
from rrg.models.sgrrg.scene_graph import (
    AttributePredictor,
    RegionDecoder,
    RegionDecoderOutput,
    RegionSelector,
    SceneGraphEncoder,
    box_exists,
    segregation_loss,
)

FRONTAL = 0
"""Slot of the view in which the regions lie."""
MAP_SIDE = 32
"""Cells of a side of the maps on which boxes are painted."""
_PUBLISHED_SIZES = "67 67 33 39 57 56 46 46 28 32 32 45 47 12 46 43 13 15 15 12 22 10 21 4 9 7 4 9 12"


class SGRRGConfig(ReportConfig):
    """The defaults are the published configuration for MIMIC-CXR with Chest ImaGenome."""

    model_type = "sgrrg"

    backbone: str = "swin_base_patch4_window7_224"
    num_views: int = 1
    feature_dropout: float = 0.2
    loss_weights: dict = field(
        default_factory=lambda: {"findings": 0.25, "region": 0.25, "attribute": 0.1, "segregation": 0.1}
    )
    attribute_sizes: tuple = tuple(int(size) for size in _PUBLISHED_SIZES.split())
    """Number of attributes of each region; an attribute's id is its place among those of all regions."""
    attribute_names: tuple = ()
    """Name of each attribute by id, " present" or " absent" at its end; empty where they are not known."""
    region_size: int = 1024
    """Width of the region selector and of the attribute predictor."""
    memory_slots: int = 512
    """Rows of the region selector's memory."""
    topk: int = 32
    """Rows that each head of the region selector reads."""
    region_heads: int = 32
    """Heads with which it reads them."""
    region_threshold: float = 0.2
    """A region with a higher probability is part of the predicted graph."""
    attribute_threshold: float = 0.5
    """An attribute with a higher probability is part of the predicted graph."""
    attribute_thresholds: tuple = ()
    """In its place one for each attribute by id (`train/calibrate.py`)."""
    contrast_margin: float = 0.4
    """Cosine up to which an abnormal and a normal vector of one region cost nothing."""
    init_std: float = 0.02
    """Standard deviation of the weights before training."""


@dataclass
class SGRRGEncoderOutput(ReportEncoderOutput):
    """The study as the decoder sees it, and the scene graph that was read off it."""

    regions: Tensor | None = None
    """g: one vector a region [B, 29, D], 0 where it is not part of the graph."""
    region_mask: Tensor | None = None
    """Which regions are part of the graph [B, 29] bool."""
    region_logits: Tensor | None = None
    """[B, 29]"""
    attribute_logits: Tensor | None = None
    """[B, 29, A] with the most attributes A of a region; where it has fewer, the rest can never be."""
    boxes: Tensor | None = None
    """[B, 29, 4] x1, y1, x2, y2 as fractions of the frontal image; no area where there is no box."""
    frontal: Tensor | None = None
    """Which studies have a frontal view [B] bool."""


@dataclass(frozen=True)
class RegionReading:
    """What the model reads off one region of one study."""

    name: str
    box: tuple[float, ...]
    """x1, y1, x2, y2 as fractions of the frontal image."""
    probability: float
    """That the report describes it."""
    attributes: dict[str, float]
    """Probability of each attribute that is part of the graph, by name or by id."""


class SGRRG(ClassThresholds, ReportModel):
    """Scene graph aided report generation."""

    reads_scene_graphs = True
    config: SGRRGConfig
    config_class = SGRRGConfig

    def __init__(self, config: SGRRGConfig):
        super().__init__(config)
        sizes = (config.hidden_size, config.num_heads, config.ffn_size, config.dropout)
        num_features, region_size = self.image_encoder.num_features, config.region_size
        self.project = nn.Sequential(
            nn.Linear(num_features, config.hidden_size),
            nn.LayerNorm(config.hidden_size),
            nn.GELU(),
            nn.Dropout(config.feature_dropout),
        )
        self.visual_encoder = Encoder(config.num_encoder_layers, *sizes, norm=nn.LayerNorm, activation=nn.GELU)
        self.region_selector = RegionSelector(
            num_features,
            region_size,
            len(config.attribute_sizes),
            config.memory_slots,
            config.region_heads,
            config.topk,
            config.dropout,
        )
        self.attribute_predictor = AttributePredictor(num_features, region_size, config.attribute_sizes, config.dropout)
        self.scene_graph_encoder = SceneGraphEncoder(
            region_size, config.attribute_sizes, config.num_encoder_layers, *sizes
        )
        self.words = TextEmbedding(config.vocab_size, config.hidden_size, config.dropout)
        self.text_decoder = RegionDecoder(config.num_decoder_layers, *sizes)
        self.head = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    # Scene graph ------------------------------------------------------------------------------------------------------

    def encode_features(
        self, features: ImageFeatures, view_mask: Tensor, reference: Reference | None = None
    ) -> SGRRGEncoderOutput:
        """In training with the scene graph of the reference and its boxes, else with the predicted one."""
        graph = None if reference is None else reference.scene_graph
        boxes = None if graph is None else graph["boxes"]
        return self.encode_graph(features.feature_maps, view_mask, boxes, graph)

    def encode_graph(
        self, features: Tensor, view_mask: Tensor, boxes: Tensor | None, graph: dict[str, Tensor] | None
    ) -> SGRRGEncoderOutput:
        """features [B,V,C,h,w], view_mask [B,V], boxes [B,29,4] or the atlas; the given graph or the predicted one."""
        tokens, token_mask = visual_tokens(features, view_mask)  # [B,N,C], [B,N]
        frontal, maps = view_mask[:, FRONTAL].bool(), features[:, FRONTAL]  # [B], [B,C,h,w]
        if boxes is None:
            boxes = torch.tensor(ATLAS, device=features.device).expand(len(features), -1, -1)  # [B,29,4]
        region_logits = self.region_selector(maps.mean(dim=(-2, -1)))  # [B,29]
        vectors, attribute_logits = self.attribute_predictor(maps, boxes)  # [B,29,E], [B,29,A]
        if graph is None:
            kept = region_logits.sigmoid() > self.config.region_threshold
            attributes = attribute_logits.sigmoid() > self.attribute_thresholds(features.device)
        else:
            kept, attributes = graph["regions"] > 0, graph["attributes"] > 0
        kept = kept & frontal[:, None] & box_exists(boxes)  # [B,29]
        return SGRRGEncoderOutput(
            self.visual_encoder(self.project(tokens), token_mask),
            token_mask,
            maps=None if self.training else self.painted(region_logits, attribute_logits, boxes, view_mask),
            regions=self.scene_graph_encoder(vectors, attributes, kept),
            region_mask=kept,
            region_logits=region_logits,
            attribute_logits=attribute_logits,
            boxes=boxes,
            frontal=frontal,
        )

    def attribute_thresholds(self, device: torch.device) -> Tensor:
        """[29,A] of the configuration; 1 where a region has fewer attributes."""
        valid = self.attribute_predictor.valid(device)
        each = self.config.attribute_thresholds or (self.config.attribute_threshold,) * int(valid.sum())
        return torch.ones(valid.shape, device=device).masked_scatter(valid, torch.tensor(each, device=device))

    def set_thresholds(self, thresholds: Sequence[float]) -> None:
        self.config.attribute_thresholds = tuple(thresholds)

    def class_probabilities_and_labels(
        self, features: Tensor, view_mask: Tensor, reference: Reference
    ) -> tuple[Tensor, Tensor]:
        """Of each attribute by id [B,K]: its probability, 0 where its region is not part of the predicted graph."""
        graph = reference.scene_graph
        assert graph is not None
        predicted = self.encode_graph(features, view_mask, graph["boxes"], None)
        assert predicted.attribute_logits is not None and predicted.region_mask is not None
        probabilities = predicted.attribute_logits.float().sigmoid() * predicted.region_mask[..., None]  # [B,29,A]
        valid = self.attribute_predictor.valid(features.device)
        return probabilities[:, valid], (graph["attributes"] > 0)[:, valid]

    def painted(
        self, region_logits: Tensor, attribute_logits: Tensor, boxes: Tensor, view_mask: Tensor
    ) -> dict[str, Tensor]:
        """Probabilities painted on the boxes, the highest on top: maps [B,V,32,32], 0 on all views but the frontal.

        That a region is described; and, where the attributes have names, that something abnormal is said of it.
        """
        described = region_logits.detach().float().sigmoid()  # [B,29]
        chosen = {"region probability": described}
        abnormal = self.abnormal_attributes(region_logits.device)
        if abnormal.any():
            said = attribute_logits.detach().float().sigmoid() * abnormal  # [B,29,A]
            chosen["abnormal attribute probability"] = described * said.amax(-1)
        return {name: paint(values, boxes, view_mask) for name, values in chosen.items()}

    def abnormal_attributes(self, device: torch.device) -> Tensor:
        """[29,A] True for the attributes that say that something is there; none where the names are not known."""
        chosen = torch.zeros_like(self.attribute_predictor.valid(device))
        names = iter(self.config.attribute_names)
        for region, size in enumerate(self.config.attribute_sizes):
            for local, name in zip(range(size), names, strict=False):
                chosen[region, local] = name.endswith(" present")
        return chosen

    @torch.no_grad()
    def read_regions(self, encoder_outputs: SGRRGEncoderOutput) -> list[list[RegionReading]]:
        """The graph of each study in words: its regions in the order of `REGIONS`."""
        assert encoder_outputs.region_mask is not None and encoder_outputs.boxes is not None
        assert encoder_outputs.region_logits is not None and encoder_outputs.attribute_logits is not None
        offsets, names = self.scene_graph_encoder.offsets, self.config.attribute_names
        described = encoder_outputs.region_logits.float().sigmoid()
        said = encoder_outputs.attribute_logits.float().sigmoid()
        thresholds = self.attribute_thresholds(said.device)
        studies: list[list[RegionReading]] = [[] for _ in range(len(described))]
        for study, region in encoder_outputs.region_mask.nonzero().tolist():
            chosen = (said[study, region] > thresholds[region]).nonzero()[:, 0].tolist()
            ids = [(offsets[region] + local, float(said[study, region, local])) for local in chosen]
            studies[study].append(
                RegionReading(
                    REGIONS[region],
                    tuple(encoder_outputs.boxes[study, region].tolist()),
                    float(described[study, region]),
                    {names[i] if names else str(i): probability for i, probability in ids},
                )
            )
        return studies

    # Report -----------------------------------------------------------------------------------------------------------

    def decode(
        self,
        decoder_input_ids: Tensor,
        encoder_outputs: ReportEncoderOutput,
        cache: EncoderDecoderCache | None,
        output_attentions: bool,
    ) -> tuple[Tensor, RegionDecoderOutput]:
        assert isinstance(encoder_outputs, SGRRGEncoderOutput)
        assert encoder_outputs.last_hidden_state is not None
        assert encoder_outputs.regions is not None and encoder_outputs.region_mask is not None
        past_length = cache.get_seq_length() if cache is not None else 0
        decoded = self.text_decoder(
            self.words(decoder_input_ids, past_length),  # [B,T,D]
            encoder_outputs.last_hidden_state,
            encoder_outputs.regions,
            causal_mask(decoder_input_ids, past_length),
            encoder_outputs.attention_mask,
            encoder_outputs.region_mask,
            cache,
            output_attentions,
        )
        return self.head(decoded.hidden), decoded

    def region_attention(self, decoder_input_ids: Tensor, encoder_outputs: SGRRGEncoderOutput) -> Tensor:
        """Words so far [B,T] -> attention [B,T,29] to the regions while the word after each was written.

        Mean over heads and layers; a row sums to 1, or is 0 where the study has no region.
        """
        _, decoded = self.decode(decoder_input_ids, encoder_outputs, None, True)
        assert decoded.region_attentions is not None
        return torch.stack(decoded.region_attentions).mean(dim=(0, 2))  # [L,B,H,T,29] -> [B,T,29]

    def report_maps(self, decoder_input_ids: Tensor, encoder_outputs: ReportEncoderOutput) -> dict[str, Tensor]:
        """`region attention`: the mean over the words, painted on the boxes."""
        assert isinstance(encoder_outputs, SGRRGEncoderOutput)
        assert encoder_outputs.boxes is not None and encoder_outputs.attention_mask is not None
        attention = self.region_attention(decoder_input_ids, encoder_outputs).float().mean(1)  # [B,29]
        view_mask = encoder_outputs.attention_mask.unflatten(1, encoder_outputs.grid)[:, :, 0, 0]  # [B,V]
        return {"region attention": paint(attention, encoder_outputs.boxes, view_mask)}

    # Losses -----------------------------------------------------------------------------------------------------------

    def auxiliary_losses(
        self,
        encoder_outputs: ReportEncoderOutput,
        decoder_output: DecoderOutput,
        labels: Tensor,
        reference: Reference,
    ) -> dict[str, Tensor]:
        """`region`, `attribute` and `segregation`, over the studies with a frontal view, if the graph is known."""
        graph = reference.scene_graph
        if graph is None:
            return {}
        assert isinstance(encoder_outputs, SGRRGEncoderOutput)
        assert encoder_outputs.region_logits is not None and encoder_outputs.attribute_logits is not None
        assert encoder_outputs.regions is not None and encoder_outputs.region_mask is not None
        assert encoder_outputs.frontal is not None and encoder_outputs.boxes is not None
        described = graph["regions"] > 0  # [B,29]
        shown = described & encoder_outputs.frontal[:, None] & box_exists(encoder_outputs.boxes)  # [B,29]
        valid = shown[..., None] & self.attribute_predictor.valid(shown.device)  # [B,29,A]
        # Outside training the graph is the predicted one: what is compared is in both.
        study, region = (encoder_outputs.region_mask & shown).nonzero(as_tuple=True)  # [K]
        return {
            "region": masked_bce(
                encoder_outputs.region_logits, described, encoder_outputs.frontal[:, None].expand_as(described)
            ),
            "attribute": masked_bce(encoder_outputs.attribute_logits, graph["attributes"] > 0, valid),
            "segregation": segregation_loss(
                encoder_outputs.regions[study, region],
                region,
                graph["abnormal"][study, region] > 0,
                self.config.contrast_margin,
            ),
        }

    def _init_weights(self, module: nn.Module) -> None:
        """Normal weights, as in the paper's code, where the R2Gen line has Xavier's."""
        if isinstance(module, nn.Linear | nn.Embedding):
            init.normal_(module.weight, std=self.config.init_std)
            if isinstance(module, nn.Linear) and module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, RegionSelector):
            init.normal_(module.memory, std=1 / self.config.region_size)
        else:
            super()._init_weights(module)
        # Swin's index tables and masks are computed, not saved.
        if callable(compute := getattr(module, "init_non_persistent_buffers", None)):
            compute()


def paint(values: Tensor, boxes: Tensor, view_mask: Tensor) -> Tensor:
    """values [B,29] on their boxes [B,29,4], the highest on top: [B,V,32,32], 0 on all views but the frontal."""
    centres = (torch.arange(MAP_SIDE, device=boxes.device) + 0.5) / MAP_SIDE
    x1, y1, x2, y2 = boxes[..., None].unbind(-2)  # [B,29,1]
    columns = (x1 <= centres) & (centres < x2)  # [B,29,32]
    rows = (y1 <= centres) & (centres < y2)
    inside = rows[..., None] & columns[..., None, :]  # [B,29,32,32]
    canvas = values.new_zeros(*view_mask.shape, MAP_SIDE, MAP_SIDE)
    canvas[:, FRONTAL] = (values[..., None, None] * inside).amax(1) * view_mask[:, FRONTAL, None, None]
    return canvas


def masked_bce(logits: Tensor, truth: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy of logits and truth, mean over what mask leaves; 0 where it leaves nothing."""
    exact = torch.promote_types(logits.dtype, torch.float32)
    each = F.binary_cross_entropy_with_logits(logits.to(exact), truth.to(exact), reduction="none")
    return (each * mask).sum() / mask.sum().clamp(min=1)
