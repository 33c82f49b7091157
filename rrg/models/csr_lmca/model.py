"""CSR-LMCA: Enhanced Radiology Report Generation via Comprehensive Sequence Rearrangement and Multi-scale Cross-region
Attention (The Visual Computer).

    views -+-----------------------------> backbone -> SR-Mamba -> memory -> LMCA -> transformer of R2GenCMN -> report
           +-> SDAM -> masked views -> -+

Part      Code                                 Meaning
SDAM      saliency.py, `extract_features`      each view encoded a second time, black outside the predicted findings
SR-Mamba  sr_mamba.py, `rearrangement`         selective scans over the tokens of each image in several orders
M, r      `transformer.memory`, `.respond`     memory matrix of R2GenCMN and its response (layers/memory_transformer.py)
LMCA      lmca.py, `regions`                   attention inside small regions, and across regions

Each part's file has its own glossary and its departures from the published code (github.com/CQNU-ZhangLab/CSR-LMCA).
The text of the paper was not available. Where the code computes the parts that the paper names, the code is followed;
elsewhere the part is marked as own interpretation. Two departures concern the whole model: the published code loads the
same view of IU X-Ray twice, and here both views are encoded; unused layers are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import EncoderDecoderCache

from rrg.errors import InputError
from rrg.labels.findings import FINDINGS
from rrg.layers.image_encoder import ImageEncoder, state_digest
from rrg.layers.memory_transformer import MemoryTransformer
from rrg.layers.transformer import DecoderOutput
from rrg.models.base import ReportModel, visual_tokens
from rrg.models.csr_lmca.config import CSRLMCAConfig
from rrg.models.csr_lmca.lmca import LMCA
from rrg.models.csr_lmca.saliency import Discriminator, blacken, salience, salient_pixels
from rrg.models.csr_lmca.sr_mamba import Branch, SequenceRearrangement
from rrg.models.outputs import ImageFeatures, Reference, ReportEncoderOutput


@dataclass
class CSRLMCAEncoderOutput(ReportEncoderOutput):
    """Encoder output with the logits of a separate discriminator."""

    discriminator_logits: Tensor | None = None
    """[B, 14]"""


class CSRLMCA(ReportModel):
    """Comprehensive sequence rearrangement and local multi-scale cross-region attention."""

    config: CSRLMCAConfig
    config_class = CSRLMCAConfig

    def __init__(self, config: CSRLMCAConfig):
        possible = {
            "saliency_thresholds": len(config.saliency_thresholds) == len(FINDINGS),
            "saliency_cut": 0 < config.saliency_cut <= 1,
            "dilation": config.dilation % 2 == 1,
            "position_kernel": config.position_kernel % 2 == 1,
        }
        if wrong := [name for name, fits in possible.items() if not fits]:
            raise InputError(
                f"CSR-LMCA needs {len(FINDINGS)} saliency_thresholds, a saliency_cut in (0, 1], and odd numbers for "
                f"dilation and position_kernel. Correct {', '.join(wrong)} in its configuration."
            )
        super().__init__(config)
        self.discriminator = None
        if config.saliency_view and config.discriminator is not None:
            self.discriminator = Discriminator(config.discriminator, config.discriminator_size, len(FINDINGS))
            self.discriminator.requires_grad_("discriminator" in config.loss_weights)
        self.project = nn.Sequential(
            nn.Linear(self.image_encoder.num_features, config.hidden_size),
            nn.ReLU(),
            nn.Dropout(config.feature_dropout),
        )
        self.rearrangement = SequenceRearrangement(config)
        self.regions = LMCA(config)
        self.transformer = MemoryTransformer(config)
        self.post_init()

    def train(self, mode: bool = True) -> CSRLMCA:
        super().train(mode)
        if self.discriminator is not None:
            self.discriminator.eval()  # batch statistics would make a mask depend on the other studies of the batch
        return self

    # SDAM -------------------------------------------------------------------------------------------------------------

    def extract_features(self, pixel_values: Tensor, view_mask: Tensor) -> ImageFeatures:
        """Images [B,V,3,S,S] -> feature maps [B,2V,C,h,w] of the views and the masked views (x_seg), and the mask."""
        if not self.config.saliency_view:
            return super().extract_features(pixel_values, view_mask)
        feature_maps = self.image_encoder(pixel_values)  # [B,V,C,h,w]
        classifier, classified = self.image_encoder, feature_maps  # the classifier and its own feature maps
        if self.discriminator is not None:
            classifier, classified = self.discriminator, self.discriminator(pixel_values)
        logits = classifier.classify(classified, view_mask)  # [B,14]
        mask = self.saliency_mask(classifier, classified, logits, pixel_values.shape[-1])  # [B,V,S,S]
        masked = self.image_encoder(
            blacken(pixel_values, mask, self.config.image_mean, self.config.image_std)
        )  # [B,V,C,h,w]
        return ImageFeatures(
            torch.cat((feature_maps, masked), dim=1),
            {"saliency mask (SDAM)": mask},
            None if self.discriminator is None else logits,
        )

    def feature_settings(self) -> tuple[object, ...]:
        config = self.config
        if not config.saliency_view:
            return ()
        rule = (tuple(config.saliency_thresholds), config.saliency_cut, config.dilation)
        if self.discriminator is None:
            return ("sdam", *rule)
        return ("sdam", *rule, config.discriminator, config.discriminator_size, state_digest(self.discriminator))

    @torch.no_grad()
    def saliency_mask(self, classifier: ImageEncoder, features: Tensor, logits: Tensor, size: int) -> Tensor:
        """Feature maps [B,V,C,h,w] and logits [B,14] of a classifier -> mask [B,V,size,size], False where blackened."""
        thresholds = torch.tensor(self.config.saliency_thresholds, device=logits.device)
        saliency = salience(classifier, features, logits.float().sigmoid() >= thresholds)
        return salient_pixels(saliency, size, self.config.saliency_cut, self.config.dilation)

    # SR-Mamba, memory, LMCA -------------------------------------------------------------------------------------------

    def encode_features(
        self, features: ImageFeatures, view_mask: Tensor, reference: Reference | None = None
    ) -> CSRLMCAEncoderOutput:
        """Feature maps [B,V,C,h,w], or [B,2V,C,h,w] with those of the masked views, -> visual tokens."""
        images, (height, width) = features.feature_maps.shape[1], features.feature_maps.shape[3:]
        tokens, token_mask = visual_tokens(features.feature_maps, view_mask)  # [B,N,C], [B,N]
        tokens = tokens.masked_fill(~token_mask[..., None], 0)
        x = self.project(tokens).unflatten(1, (images, -1)).flatten(0, 1)  # [P,h*w,D], P = B * images
        x, pooling = self.rearrangement(x)  # [P,h*w,D], [P,h*w]
        memory = self.transformer.project_memory()
        x = self.transformer.respond(x.unflatten(0, (-1, images)).flatten(1, 2), memory)  # [B,N,D]
        x, regions = self.regions(x.unflatten(1, (images, height, width)).flatten(0, 1))  # [P,h,w,D], [P,h,w]
        x = x.unflatten(0, (-1, images)).flatten(1, 3)  # [B,N,D]

        weights = {"Mamba pooling weights": pooling.unflatten(1, (height, width)), "region pooling weights": regions}
        shape = (len(x), -1, view_mask.shape[1], height, width)
        valid = view_mask[:, :, None, None]
        return CSRLMCAEncoderOutput(
            self.transformer.encode(x, token_mask),
            token_mask,
            memory=memory,
            # The mean of a view and its masked copy.
            maps={name: w.detach().reshape(shape).mean(1).float() * valid for name, w in weights.items()},
            discriminator_logits=features.discriminator_logits,
        )

    def decode(
        self,
        decoder_input_ids: Tensor,
        encoder_outputs: ReportEncoderOutput,
        cache: EncoderDecoderCache | None,
        output_attentions: bool,
    ) -> tuple[Tensor, DecoderOutput]:
        return self.transformer.decode(decoder_input_ids, encoder_outputs, cache, output_attentions)

    def auxiliary_losses(
        self,
        encoder_outputs: ReportEncoderOutput,
        decoder_output: DecoderOutput,
        labels: Tensor,
        reference: Reference,
    ) -> dict[str, Tensor]:
        """`discriminator`: cross-entropy of a separate discriminator that is trained with the model."""
        assert isinstance(encoder_outputs, CSRLMCAEncoderOutput)
        logits = encoder_outputs.discriminator_logits
        if logits is None or reference.findings is None or "discriminator" not in self.config.loss_weights:
            return {}
        return {"discriminator": F.binary_cross_entropy_with_logits(logits.float(), reference.findings)}

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, SequenceRearrangement | Branch):
            module.initialise()
