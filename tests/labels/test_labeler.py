"""The rules behind the interface of a labeler."""

import numpy as np

from rrg.labels.findings import LABELER, label_vector
from rrg.labels.labeler import label_vectors, load_labeler

TEXTS = ["The heart is enlarged.", "Possible pneumonia. No effusion.", ""]


def test_without_a_checkpoint_the_rules_label() -> None:
    labeler = load_labeler()
    assert labeler.name == LABELER
    for uncertain in (0.0, 0.5, 1.0):
        expected = np.stack([label_vector(text, uncertain) for text in TEXTS])
        assert (label_vectors(labeler, TEXTS, uncertain) == expected).all()


def test_no_text_gives_no_row() -> None:
    assert label_vectors(load_labeler(), []).shape == (0, 14)
