"""XProNet: Cross-modal Prototype Driven Network for Radiology Report Generation (Wang et al., ECCV 2022).

R2GenCMN with prototypes of the findings in place of the memory matrix: each finding has its own set, initialised from
images and reports of the training studies and then trained. Patches and words of a study query only the prototypes of
its findings, and a contrastive loss pulls together the responses of studies with the same findings. Querying and
responding are those of R2GenCMN (rrg/layers/memory.py).

Symbol  Code                     Module                      Meaning
PM      prototypes               cross-modal prototype       [classes * P, E]: P rows for each class, in class order
                                 matrix
Y_b     chosen                   cross-modal prototype       classes of study b [B, classes], at least one
                                 network: querying
Q_b     prototype_mask           querying                    prototypes of the classes of study b [B, classes * P]
k       topk                     querying                    prototypes that each head of each token attends to (15)
R       read(...).hidden         responding                  response of the prototypes to each token
X'      visual_fusion,           feature interaction         linear layer over a token and its response, one for each
        text_fusion                                          modality
alpha   similarity_base          improved multi-label        base of the similarity that two studies with common
                                 contrastive loss            classes should have (1.5)
m       contrast_margin          improved multi-label        similarity up to which the loss between studies without
                                 contrastive loss            a common class is 0 (0.4)

Equal to the published code (github.com/Markin-Wang/XProNet, commit 1c9279b, forward pass of models/models.py around
class `BaseCMN` of modules/base_cmn.py): log-probabilities, losses, attention and beam search of the same weights, given
the same classes, with `legacy_padded_average` (tests/models/test_xpronet.py).

Departures from the published code. Its labels are those of the reference report, even in evaluation; here they choose
prototypes in training alone, and a report is generated with the findings that the classifier of the image encoder
predicts. The prototypes are projected once for all studies and masked for each, not copied for each. Responses are
averaged over words and valid patches; the published average includes padding, so the length of one report changes the
loss of another (`legacy_padded_average`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EncoderDecoderCache
from transformers import initialization as init

from rrg.errors import InputError
from rrg.labels.findings import FINDINGS
from rrg.layers.memory import MemoryResponse, ProjectedMemory, TopKMemoryRead
from rrg.layers.transformer import Decoder, DecoderOutput, Encoder, TextEmbedding, causal_mask, sinusoid
from rrg.models.base import ClassThresholds, ReportConfig, ReportModel, visual_tokens
from rrg.models.outputs import ImageFeatures, Reference, ReportEncoderOutput


class XProNetConfig(ReportConfig):
    """The defaults are the published configuration for IU X-Ray."""

    model_type = "xpronet"

    classes: tuple = FINDINGS
    """Classes of the prototypes, in the order of the image encoder's findings."""
    prototypes_per_class: int = 20
    """P: prototypes of each class."""
    prototype_size: int = 2816
    """Length of a prototype: 2,048 image and 768 text features in the paper."""
    topk: int = 15
    """Prototypes that each head of each token attends to."""
    finding_thresholds: tuple = (0.5,) * len(FINDINGS)
    """Probability above which the prototypes of a class are used; without any, those of the most probable class."""
    similarity_base: float = 1.5
    """Base of the similarity that two studies with a common class should have (`contrastive_loss`)."""
    contrast_margin: float = 0.4
    """Cosine up to which the loss between two studies without a common class is 0."""
    legacy_padded_average: bool = False
    """Average the text responses over padding too, as in the published code. It changes the loss alone."""
    loss_weights: dict = field(default_factory=lambda: {"image_contrast": 1.0, "text_contrast": 0.1})


@dataclass
class XProNetEncoderOutput(ReportEncoderOutput):
    """Encoder output with the prototypes of each study."""

    prototype_mask: Tensor | None = None
    """[B, classes * P] bool, True for the prototypes of the study's classes."""
    visual_response: Tensor | None = None
    """[B, D] mean response over the valid patches."""


@dataclass(frozen=True)
class XProNetDecoderOutput(DecoderOutput):
    """Decoder output with the prototypes' response to each word."""

    text_response: Tensor
    """[B, T, D]"""


class XProNet(ClassThresholds, ReportModel):
    """Cross-modal prototype driven network."""

    config: XProNetConfig
    config_class = XProNetConfig

    def __init__(self, config: XProNetConfig):
        super().__init__(config)
        if len(config.finding_thresholds) != len(config.classes):
            raise InputError(f"XProNet needs {len(config.classes)} finding_thresholds, one for each of its classes.")
        size = config.hidden_size
        sizes = (size, config.num_heads, config.ffn_size, config.dropout)
        self.project = nn.Sequential(
            nn.Linear(self.image_encoder.num_features, size), nn.ReLU(), nn.Dropout(config.feature_dropout)
        )
        rows = len(config.classes) * config.prototypes_per_class
        self.prototypes = nn.Parameter(torch.empty(rows, config.prototype_size))
        self.reduce = nn.Linear(config.prototype_size, size)
        self.read = TopKMemoryRead(size, config.num_heads, config.topk, config.dropout)
        self.visual_fusion = nn.Linear(2 * size, size)
        self.text_fusion = nn.Linear(2 * size, size)
        self.position_dropout = nn.Dropout(config.dropout)
        self.visual_encoder = Encoder(config.num_encoder_layers, *sizes)
        self.words = TextEmbedding(config.vocab_size, size, config.dropout)
        self.text_decoder = Decoder(config.num_decoder_layers, *sizes)
        self.head = nn.Linear(size, config.vocab_size)
        self.post_init()

    # Querying: which prototypes ---------------------------------------------------------------------------------------

    def predicted_classes(self, feature_maps: Tensor, view_mask: Tensor) -> Tensor:
        """Classes above their thresholds by the image classifier: [B, classes] bool, at least one True in each row."""
        probabilities = self.class_probabilities(feature_maps, view_mask)
        above = probabilities > probabilities.new_tensor(self.config.finding_thresholds)
        return at_least_one(above, probabilities.argmax(-1))

    @torch.no_grad()
    def class_probabilities(self, feature_maps: Tensor, view_mask: Tensor) -> Tensor:
        """Probability [B, classes] of each class by the classifier on the images."""
        return self.image_encoder.classify(feature_maps, view_mask).float().sigmoid()

    def class_probabilities_and_labels(
        self, features: Tensor, view_mask: Tensor, reference: Reference
    ) -> tuple[Tensor, Tensor]:
        assert reference.findings is not None
        return self.class_probabilities(features, view_mask), self.reference_classes(reference.findings)

    def set_thresholds(self, thresholds: Sequence[float]) -> None:
        self.config.finding_thresholds = tuple(thresholds)

    def reference_classes(self, findings: Tensor) -> Tensor:
        """Classes of the reference: [B, classes] bool; a study without any belongs to the last, "No Finding"."""
        last = torch.full(findings.shape[:1], findings.shape[1] - 1, device=findings.device)
        return at_least_one(findings > 0.5, last)

    def load_prototypes(self, prototypes: Tensor, classes: Sequence[str]) -> None:
        """Initialise with prototypes [classes, P, E] of the named classes, in any order.

        Raises InputError if the classes or the sizes are not those of the configuration.
        """
        if sorted(classes) != sorted(self.config.classes):
            differing = sorted(set(classes) ^ set(self.config.classes))
            raise InputError(
                f"The prototypes are of other classes than the model: {', '.join(differing)}. Make them again."
            )
        expected = (len(classes), self.config.prototypes_per_class, self.config.prototype_size)
        if prototypes.shape != expected:
            raise InputError(
                f"The prototypes are {tuple(prototypes.shape)}, the model's {expected} (classes, prototypes of each, "
                "length). Set prototypes_per_class and prototype_size of the configuration to those of the file."
            )
        order = [list(classes).index(name) for name in self.config.classes]
        with torch.no_grad():
            self.prototypes.copy_(prototypes[order].flatten(0, 1))

    # Querying, responding, feature interaction ------------------------------------------------------------------------

    def encode_features(
        self, features: ImageFeatures, view_mask: Tensor, reference: Reference | None = None
    ) -> XProNetEncoderOutput:
        """In training the classes of the reference choose the prototypes, else the predicted ones."""
        feature_maps = features.feature_maps
        if reference is None or reference.findings is None:
            chosen = self.predicted_classes(feature_maps, view_mask)  # [B,classes]
        else:
            chosen = self.reference_classes(reference.findings)
        tokens, token_mask = visual_tokens(feature_maps, view_mask)  # [B,N,C], [B,N]
        tokens = self.project(tokens)  # [B,N,D]
        memory = self.read.project(self.reduce(self.prototypes))  # [1,H,classes*P,D/H]
        prototype_mask = chosen.repeat_interleave(self.config.prototypes_per_class, dim=1)  # [B,classes*P]
        response = self.read(tokens, replace(memory, mask=prototype_mask))
        tokens = self.visual_fusion(torch.cat((tokens, response.hidden), dim=-1))  # [B,N,2D] -> [B,N,D]
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        tokens = self.position_dropout(tokens + sinusoid(positions, tokens.shape[2], tokens.dtype))
        return XProNetEncoderOutput(
            self.visual_encoder(tokens, token_mask),
            token_mask,
            memory=memory,
            maps=self.prototype_mass(
                response, token_mask, (feature_maps.shape[1], feature_maps.shape[3], feature_maps.shape[4])
            ),
            prototype_mask=prototype_mask,
            visual_response=masked_mean(response.hidden, token_mask),
        )

    def prototype_mass(
        self, response: MemoryResponse, token_mask: Tensor, grid: tuple[int, int, int]
    ) -> dict[str, Tensor]:
        """Prototype weights of each patch summed by class, mean over heads [B,V,h,w]; 0 for a missing view."""
        weights = response.weights.detach().float().unflatten(-1, (len(self.config.classes), -1))  # [B,H,N,classes,P]
        mass = weights.sum(-1).mean(1) * token_mask[..., None]  # [B,N,classes]
        maps = mass.transpose(1, 2).unflatten(-1, grid)  # [B,classes,V,h,w]
        return {f"prototypes: {name}": maps[:, i] for i, name in enumerate(self.config.classes)}

    def decode(
        self,
        decoder_input_ids: Tensor,
        encoder_outputs: ReportEncoderOutput,
        cache: EncoderDecoderCache | None,
        output_attentions: bool,
    ) -> tuple[Tensor, XProNetDecoderOutput]:
        assert isinstance(encoder_outputs, XProNetEncoderOutput)
        assert isinstance(encoder_outputs.memory, ProjectedMemory)
        past_length = cache.get_seq_length() if cache is not None else 0
        words = self.words(decoder_input_ids, past_length)  # [B,T,D]
        response = self.read(words, replace(encoder_outputs.memory, mask=encoder_outputs.prototype_mask)).hidden
        decoded = self.text_decoder(
            self.text_fusion(torch.cat((words, response), dim=-1)),
            encoder_outputs.last_hidden_state,
            causal_mask(decoder_input_ids, past_length),
            encoder_outputs.attention_mask,
            cache,
            output_attentions,
        )
        return self.head(decoded.hidden), XProNetDecoderOutput(decoded.hidden, decoded.cross_attentions, response)

    def auxiliary_losses(
        self,
        encoder_outputs: ReportEncoderOutput,
        decoder_output: DecoderOutput,
        labels: Tensor,
        reference: Reference,
    ) -> dict[str, Tensor]:
        """`image_contrast` and `text_contrast` of the batch's responses, if the reference findings are given."""
        if reference.findings is None:
            return {}
        assert isinstance(encoder_outputs, XProNetEncoderOutput)
        assert isinstance(decoder_output, XProNetDecoderOutput)
        words = torch.ones_like(labels, dtype=torch.bool) if self.config.legacy_padded_average else labels != -100
        responses = {
            "image_contrast": encoder_outputs.visual_response,
            "text_contrast": masked_mean(decoder_output.text_response, words),
        }
        base, margin = self.config.similarity_base, self.config.contrast_margin
        return {
            name: contrastive_loss(response, reference.findings > 0.5, base, margin)
            for name, response in responses.items()
            if response is not None
        }

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, XProNet):
            init.normal_(module.prototypes)  # features for `load_prototypes` have this scale too


def at_least_one(chosen: Tensor, otherwise: Tensor) -> Tensor:
    """chosen [B, classes] bool, with the class `otherwise` [B] in the rows without any."""
    fallback = F.one_hot(otherwise, chosen.shape[1]).bool()
    return chosen | (fallback & ~chosen.any(-1, keepdim=True))


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """x [B,n,D], mask [B,n] -> mean [B,D] over the tokens where mask is True."""
    weight = mask[..., None].to(x.dtype)
    return (x * weight).sum(1) / weight.sum(1).clamp(min=1)


def contrastive_loss(responses: Tensor, classes: Tensor, similarity_base: float, margin: float) -> Tensor:
    """Improved multi-label contrastive loss, mean over all ordered pairs of the batch.

    responses [B,D], classes y [B, classes] bool. The cosine of two studies with a common class should be at least
    base ** -(|y_i - y_j|_1 / |y_i + y_j|_1), that of two others at most `margin`.
    """
    responses = F.normalize(responses.to(torch.promote_types(responses.dtype, torch.float32)), dim=-1)
    cosine = responses @ responses.T  # [B,B]
    y = classes.to(cosine.dtype)
    difference = (y[:, None] - y[None]).abs().sum(-1)  # [B,B]
    total = (y[:, None] + y[None]).sum(-1)
    target = similarity_base ** -(difference / total.clamp(min=1))
    pull, push = F.relu(target - cosine), F.relu(cosine - margin)
    return torch.where(y @ y.T > 0, pull, push).mean()
