"""Statements that compare with an earlier image, and the many words that look like one."""

from __future__ import annotations

import pytest

from rrg.data.text import clean_iu_xray
from rrg.labels.comparisons import has_comparison


@pytest.mark.parametrize(
    "text",
    [
        "Stable cardiomegaly.",
        "The mediastinum is stable.",
        "The cardiomediastinal silhouette is normal and unchanged compared to prior examination.",
        "No significant interval change.",
        "The heart is again mildly enlarged.",
        "Heart size remains normal.",
        "Persistent left basilar opacity.",
        "There is a new right pleural effusion.",
        "The effusion has resolved.",
        "There is redemonstration of a calcified granuloma.",
        "The opacity has increased since the previous study.",
        "Similar to the prior chest radiograph.",
        "The left lung nodule is larger than on the prior CT.",
        "No change in the large hiatus hernia.",
        "The chest tube has been removed.",
        "Improved aeration of the left lung.",
        "Patchy opacity, not seen previously.",
        "Worsening edema.",
    ],
)
def test_comparisons_are_found_in_raw_and_cleaned_text(text: str) -> None:
    assert has_comparison(text)
    assert has_comparison(clean_iu_xray(text))


@pytest.mark.parametrize(
    "text",
    [
        "The lungs are clear.",
        "Sequelae of prior granulomatous disease.",
        "Calcified lymph nodes are consistent with prior granulomatous disease.",
        "There has been previous aortic valve replacement.",
        "Old left rib fractures.",
        "Degenerative changes of the spine.",
        "The remainder of the lungs are clear.",
        "Remaining osseous structures are intact.",
        "Increased interstitial markings.",
        "Small pleural effusions, right larger than left.",
        "There is increased opacity of the right base compared to the left.",
        "There are diminished lung volumes.",
        "Prior cholecystectomy.",
        "Residuals of prior granulomatous infection.",
    ],
)
def test_history_and_sides_are_no_comparison(text: str) -> None:
    assert not has_comparison(text)
    assert not has_comparison(clean_iu_xray(text))
