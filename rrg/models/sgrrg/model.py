"""SGRRG: Scene Graph Aided Radiology Report Generation (Wang et al., CMIG 2025).

The model predicts a scene graph from the frontal view: which of 29 anatomical regions the report describes, and which
attributes it mentions for each. Every region with its attributes becomes one vector, and each decoder layer attends to
the image and then to these vectors, so that a word can be traced to named regions.

Symbol   Code                     File                    Meaning
X        features                 -                       backbone's maps; tokens [B, N, D] after `project`
B_r      boxes[:, r]              boxes.py                box of region r: detected, or from an atlas
p_r      region_logits            region_selector.py      logit that the report describes region r
b_r      vectors                  attribute_predictor.py  strongest features in B_r, after a small network
a_rj     attribute_logits         attribute_predictor.py  logit that it mentions attribute j of region r
o_r, a_j nodes                    scene_graph_encoder.py  nodes of region r and of its attributes
g_r      regions                  scene_graph_encoder.py  vector of region r: maximum over its encoded nodes
-        text_decoder             decoder.py              decoder that attends to the image, then to the regions
-        painted                  predicted_graph.py      thresholds of the predicted graph, and its maps
L_d      losses["findings"]       -                       disease classification: BCE of 14 findings on the mean token
L_r      losses["region"]         -                       region selector: BCE over all regions
L_a      losses["attribute"]      -                       attribute predictor: BCE over all attributes of the described
                                                          regions
L_s      losses["segregation"]    scene_graph_encoder.py  abnormality contrast between vectors of one region

Equal to the published code (github.com/Markin-Wang/SGRRG, commit 261dd83, models/origin_model.py, the forward pass of
training): outputs, losses and region vectors of the same weights (tests/models/sgrrg/test_model.py).

Departures from the published code. Its evaluation is given the scene graph of the reference; here that graph is for
training alone, and a report is generated from the predicted one: regions above 0.2, attributes above 0.5 or above
thresholds of their own. Without a detector the boxes are those of an atlas (`rrg.labels.atlas`), so no figure is
comparable without Chest ImaGenome. Boxes do not follow the augmentation of an image, which moves it by a few percent.
It encodes one view; here the regions lie in the frontal one, a study without it has none, and the words attend to the
tokens of all views. A view that is missing is masked. The width of the region networks (`region_size`) may differ from
the backbone's. Keys and values of image and regions are cached instead of being computed for every word. Parts that its
scripts disable are left out: gates, hierarchical attention, other ways to encode the graphs.
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
from rrg.models.sgrrg.attribute_predictor import AttributePredictor
from rrg.models.sgrrg.boxes import FRONTAL, box_exists, paint
from rrg.models.sgrrg.decoder import RegionDecoder, RegionDecoderOutput
from rrg.models.sgrrg.predicted_graph import abnormal_attributes, padded_thresholds, probability_maps
from rrg.models.sgrrg.region_selector import RegionSelector
from rrg.models.sgrrg.scene_graph_encoder import SceneGraphEncoder, segregation_loss

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
    """Number of attributes of each region; an attribute's id is its index among those of all regions."""
    attribute_names: tuple = ()
    """Name of each attribute by id, which ends in " present" or " absent"; empty if unknown."""
    region_size: int = 1024
    """Width of the region selector and of the attribute predictor."""
    memory_slots: int = 512
    """Slots of the region selector's memory."""
    topk: int = 32
    """Memory slots that each head of the region selector attends to."""
    region_heads: int = 32
    """Heads of the attention to these slots."""
    region_threshold: float = 0.2
    """A region with a higher probability is part of the predicted graph."""
    attribute_threshold: float = 0.5
    """An attribute with a higher probability is part of the predicted graph."""
    attribute_thresholds: tuple = ()
    """Thresholds of the attributes by id, in place of `attribute_threshold`."""
    contrast_margin: float = 0.4
    """Cosine up to which the loss between an abnormal and a normal vector of one region is 0."""
    init_std: float = 0.02
    """Standard deviation of the weights before training."""


@dataclass
class SGRRGEncoderOutput(ReportEncoderOutput):
    """Encoder output with the scene graph and its vectors."""

    regions: Tensor | None = None
    """g: one vector per region [B, 29, D], 0 where it is not part of the graph."""
    region_mask: Tensor | None = None
    """Which regions are part of the graph [B, 29] bool."""
    region_logits: Tensor | None = None
    """[B, 29]"""
    attribute_logits: Tensor | None = None
    """[B, 29, A] with the largest number of attributes A of a region; IMPOSSIBLE where a region has fewer."""
    boxes: Tensor | None = None
    """[B, 29, 4] x1, y1, x2, y2 as fractions of the frontal image; without area where a region was not detected."""
    frontal: Tensor | None = None
    """Which studies have a frontal view [B] bool."""


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
        """features [B,V,C,h,w], view_mask [B,V], boxes [B,29,4] or None (atlas), graph or None (predicted)."""
        tokens, token_mask = visual_tokens(features, view_mask)  # [B,N,C], [B,N]
        frontal, maps = view_mask[:, FRONTAL].bool(), features[:, FRONTAL]  # [B], [B,C,h,w]
        if boxes is None:
            boxes = torch.tensor(ATLAS, device=features.device).expand(len(features), -1, -1)  # [B,29,4]
        region_logits = self.region_selector(maps.mean(dim=(-2, -1)))  # [B,29]
        vectors, attribute_logits = self.attribute_predictor(maps, boxes)  # [B,29,E], [B,29,A]
        if graph is None:
            described = region_logits.sigmoid() > self.config.region_threshold  # [B,29]
            attributes = attribute_logits.sigmoid() > self.attribute_thresholds(features.device)  # [B,29,A]
        else:
            described, attributes = graph["regions"] > 0, graph["attributes"] > 0
        described = described & frontal[:, None] & box_exists(boxes)  # [B,29]
        return SGRRGEncoderOutput(
            self.visual_encoder(self.project(tokens), token_mask),
            token_mask,
            maps=None if self.training else self.painted(region_logits, attribute_logits, boxes, view_mask),
            regions=self.scene_graph_encoder(vectors, attributes, described),
            region_mask=described,
            region_logits=region_logits,
            attribute_logits=attribute_logits,
            boxes=boxes,
            frontal=frontal,
        )

    def painted(
        self, region_logits: Tensor, attribute_logits: Tensor, boxes: Tensor, view_mask: Tensor
    ) -> dict[str, Tensor]:
        """`probability_maps`; that of abnormal attributes needs a configuration with their names."""
        abnormal = abnormal_attributes(self.config.attribute_names, self.attribute_predictor.valid(boxes.device))
        return probability_maps(region_logits, attribute_logits, abnormal, boxes, view_mask)

    # Thresholds -------------------------------------------------------------------------------------------------------

    def attribute_thresholds(self, device: torch.device) -> Tensor:
        """Thresholds [29,A] of the configuration."""
        valid = self.attribute_predictor.valid(device)
        each = self.config.attribute_thresholds or (self.config.attribute_threshold,) * int(valid.sum())
        return padded_thresholds(each, valid)

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
        """Words [B,T] -> attention [B,T,29] to the regions while the next word was predicted.

        Mean over heads and layers; a row sums to 1, or is 0 for a study without regions.
        """
        _, decoded = self.decode(decoder_input_ids, encoder_outputs, None, True)
        assert decoded.region_attentions is not None
        return torch.stack(decoded.region_attentions).mean(dim=(0, 2))  # [L,B,H,T,29] -> [B,T,29]

    def report_maps(self, decoder_input_ids: Tensor, encoder_outputs: ReportEncoderOutput) -> dict[str, Tensor]:
        """`region attention`: mean over the words, painted on the boxes."""
        assert isinstance(encoder_outputs, SGRRGEncoderOutput)
        assert encoder_outputs.boxes is not None and encoder_outputs.attention_mask is not None
        attention = self.region_attention(decoder_input_ids, encoder_outputs).float().mean(1)  # [B,29]
        view_mask = encoder_outputs.attention_mask.unflatten(1, encoder_outputs.grid)[:, :, 0, 0]  # [B,V]
        return {"region attention": paint(attention, encoder_outputs.boxes, view_mask)}

    def region_boxes(self, encoder_outputs: ReportEncoderOutput) -> dict[str, Tensor]:
        """The boxes of the regions that are part of the graph."""
        assert isinstance(encoder_outputs, SGRRGEncoderOutput)
        assert encoder_outputs.boxes is not None and encoder_outputs.region_mask is not None
        boxes = encoder_outputs.boxes * encoder_outputs.region_mask[..., None]  # [B,29,4]
        return dict(zip(REGIONS, boxes.unbind(1), strict=True))

    # Losses -----------------------------------------------------------------------------------------------------------

    def auxiliary_losses(
        self,
        encoder_outputs: ReportEncoderOutput,
        decoder_output: DecoderOutput,
        labels: Tensor,
        reference: Reference,
    ) -> dict[str, Tensor]:
        """`region`, `attribute` and `segregation` over the studies with a frontal view, if the graph is given."""
        graph = reference.scene_graph
        if graph is None:
            return {}
        assert isinstance(encoder_outputs, SGRRGEncoderOutput)
        assert encoder_outputs.region_logits is not None and encoder_outputs.attribute_logits is not None
        assert encoder_outputs.regions is not None and encoder_outputs.region_mask is not None
        assert encoder_outputs.frontal is not None and encoder_outputs.boxes is not None
        described = graph["regions"] > 0  # [B,29]
        visible = described & encoder_outputs.frontal[:, None] & box_exists(encoder_outputs.boxes)  # [B,29]
        valid = visible[..., None] & self.attribute_predictor.valid(visible.device)  # [B,29,A]
        # Outside training `regions` has the vectors of the predicted graph: use those that are in both graphs.
        study, region = (encoder_outputs.region_mask & visible).nonzero(as_tuple=True)  # [K]
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
        """Initialise weights from a normal distribution, as in the published code, instead of Xavier."""
        if isinstance(module, nn.Linear | nn.Embedding):
            init.normal_(module.weight, std=self.config.init_std)
            if isinstance(module, nn.Linear) and module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, RegionSelector):
            init.normal_(module.memory, std=1 / self.config.region_size)
        else:
            super()._init_weights(module)
        # Swin computes its index tables and masks; they are not saved.
        if callable(compute := getattr(module, "init_non_persistent_buffers", None)):
            compute()


def masked_bce(logits: Tensor, labels: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy, mean over the True entries of mask; 0 if there are none."""
    exact = torch.promote_types(logits.dtype, torch.float32)
    each = F.binary_cross_entropy_with_logits(logits.to(exact), labels.to(exact), reduction="none")
    return (each * mask).sum() / mask.sum().clamp(min=1)
