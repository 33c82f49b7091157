"""How each architecture is trained: one file an architecture, with the papers' hyperparameters and their source."""

from __future__ import annotations

from recipes import camanet, csr_lmca, lgfm_net, r2gen_cmn, sgrrg, vit_gpt2, xpronet
from recipes.options import ModelOptions
from recipes.recipe import Recipe, for_mimic
from recipes.small import SMALL

__all__ = ["CONFIG_SOURCES", "RECIPES", "SMALL", "ModelOptions", "Recipe", "default_options"]

RECIPES: dict[str, dict[str, Recipe]] = {
    "r2gen_cmn": r2gen_cmn.RECIPES,
    "camanet": camanet.RECIPES,
    "csr_lmca": csr_lmca.RECIPES,
    "lgfm_net": lgfm_net.RECIPES,
    "sgrrg": sgrrg.RECIPES,
    "vit_gpt2": vit_gpt2.RECIPES,
    "xpronet": xpronet.RECIPES,
}
"""Architecture -> size -> recipe. `small` is that of the bundled weights, `small_mimic` the same for MIMIC-CXR."""

for _recipes in RECIPES.values():
    _recipes.setdefault("small_mimic", for_mimic(_recipes["small"]))

CONFIG_SOURCES: dict[str, str] = {
    "r2gen_cmn": "R2GenCMN repository",
    "camanet": "CAMANet repository, script for IU X-Ray",
    "csr_lmca": "CSR-LMCA repository, in our interpretation",
    "lgfm_net": "our own, at the sizes of R2GenCMN",
    "sgrrg": "SGRRG repository, script for MIMIC-CXR",
    "vit_gpt2": "google/vit-base-patch16-224 and gpt2",
    "xpronet": "XProNet repository, run_iu_xray.sh",
}
"""Architecture -> where the defaults of its configuration come from."""

_OPTIONS: dict[str, ModelOptions] = {
    "csr_lmca": csr_lmca.CSRLMCAOptions(),
    "sgrrg": sgrrg.SGRRGOptions(),
    "vit_gpt2": vit_gpt2.ViTGPT2Options(),
    "xpronet": xpronet.XProNetOptions(),
}


def default_options(architecture: str) -> ModelOptions:
    """The command-line options that only this architecture has, with their defaults; many have none."""
    return _OPTIONS.get(architecture, ModelOptions())
