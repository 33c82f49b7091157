"""Make the sentence banks of bundled models (`rrg.decoding.sentence_bank`) from the reports of a data folder.

    python train/sentence_bank.py --data DIR

Writes weights/NAME/sentences.npz for each model that decodes by MBR, and switches the bank on in its
generation_config.json. Training writes the bank itself; run this for weights from before, or after a change of the
rules for what a bank holds. The hash of the weights changes: evaluate the models again.
"""

import tyro

from publishing.sentence_banks import BankRecipe, make_banks
from rrg.errors import InputError

if __name__ == "__main__":
    try:
        for line in make_banks(tyro.cli(BankRecipe, description=__doc__)):
            print(line)
    except InputError as error:
        raise SystemExit(str(error)) from error
