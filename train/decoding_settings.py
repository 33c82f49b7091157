"""Choose the settings of MBR decoding on the val split, from candidates that are sampled once.

    python train/decoding_settings.py --data DIR --models r2gen_cmn

Prints a table of all settings on two sets of samples, and writes the best into generation_config.json (--write). It
also scores candidates of several models together: --models xpronet+r2gen_cmn (never written).
"""

import tyro

from publishing.decoding_settings import SettingsRecipe, choose_settings
from rrg.errors import InputError

if __name__ == "__main__":
    try:
        for line in choose_settings(tyro.cli(SettingsRecipe, description=__doc__)):
            print(line, flush=True)
    except InputError as error:
        raise SystemExit(str(error)) from error
