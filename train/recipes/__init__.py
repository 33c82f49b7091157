"""How each architecture is trained: one file an architecture, with the papers' hyperparameters and their source."""

from __future__ import annotations

from recipes import camanet, csr_lmca, lgfm_net, r2gen_cmn, sgrrg, vit_gpt2, xpronet
from recipes.options import ModelOptions
from recipes.recipe import Recipe
from recipes.small import SMALL

__all__ = ["OPTIONS", "RECIPES", "SMALL", "ModelOptions", "Recipe"]

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

OPTIONS: dict[str, ModelOptions] = {
    "csr_lmca": csr_lmca.CSRLMCAOptions(),
    "sgrrg": sgrrg.SGRRGOptions(),
    "vit_gpt2": vit_gpt2.ViTGPT2Options(),
    "xpronet": xpronet.XProNetOptions(),
}
"""Architecture -> its own command-line options with their defaults; the others have none."""
