"""How each architecture is trained: one file an architecture, with the papers' hyperparameters and their source."""

from __future__ import annotations

from recipes import camanet, csr_lmca, lgfm_net, r2gen_cmn, sgrrg, vit_gpt2, xpronet
from recipes.options import ModelOptions
from recipes.recipe import Recipe
from recipes.small import SMALL

__all__ = ["RECIPES", "SMALL", "ModelOptions", "Recipe", "default_options"]

RECIPES: dict[str, dict[str, Recipe]] = {
    "r2gen_cmn": r2gen_cmn.RECIPES,
    "camanet": camanet.RECIPES,
    "csr_lmca": csr_lmca.RECIPES,
    "lgfm_net": lgfm_net.RECIPES,
    "sgrrg": sgrrg.RECIPES,
    "vit_gpt2": vit_gpt2.RECIPES,
    "xpronet": xpronet.RECIPES,
}
"""Architecture -> size -> recipe. `small` is the recipe of the bundled weights."""

_OPTIONS: dict[str, ModelOptions] = {
    "csr_lmca": csr_lmca.CSRLMCAOptions(),
    "sgrrg": sgrrg.SGRRGOptions(),
    "vit_gpt2": vit_gpt2.ViTGPT2Options(),
    "xpronet": xpronet.XProNetOptions(),
}


def default_options(architecture: str) -> ModelOptions:
    """The command-line options that only this architecture has, with their defaults; many have none."""
    return _OPTIONS.get(architecture, ModelOptions())
