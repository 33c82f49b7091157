"""The page's own components, one folder each: a `gr.HTML` with a static template and a script that fills it.

Templates are static because Gradio evaluates the output of Handlebars as a JavaScript template literal: even an
escaped `{{text}}` would execute a report that contains `${...}`. The scripts write every text with `textContent`.

The scripts communicate through events on `window`:
- `rrg:point`: the pointer or focus is on a word, sentence or finding; null when it leaves.
- `rrg:pin`: pin the map of a word, sentence or finding, or release it if it is pinned.
- `rrg:choose-finding`: pin the finding with this index, chosen in the overlay menu.
- `rrg:shown`: the map that the viewer shows now.
- `rrg:report`: the report on the page, or null.
- `rrg:notice`: a notice to show.
"""

from rrg.ui.components.findings import findings_table, findings_value
from rrg.ui.components.notes import chosen_remedy, notes_list, notes_value
from rrg.ui.components.notice import Notice, notice
from rrg.ui.components.report_text import report_text, report_value
from rrg.ui.components.viewer import maps_value, viewer, views_value

__all__ = [
    "Notice",
    "chosen_remedy",
    "findings_table",
    "findings_value",
    "maps_value",
    "notes_list",
    "notes_value",
    "notice",
    "report_text",
    "report_value",
    "viewer",
    "views_value",
]
