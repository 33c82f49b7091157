"""The page's own components, one folder each: a `gr.HTML` with a static template and a script that fills it.

Templates are static because Gradio evaluates the output of Handlebars as a JavaScript template literal: even an
escaped `{{text}}` would execute a report that contains `${...}`. The scripts write every text with `textContent`.

The scripts communicate through events on `window`. A component may be on the page several times: the `channel` of an
event ("read" unless stated) says which of them it concerns.
- `rrg:point`: the pointer or focus is on a word, sentence or finding; `kind` is null when it leaves.
- `rrg:pin`: pin the map of a word, sentence or finding, or release it if it is pinned.
- `rrg:choose-finding`: pin the finding with this index, chosen in the overlay menu.
- `rrg:shown`: the map that the viewer shows now.
- `rrg:place`: the place of a view (`row` and `column` in [0, 1]) that was looked up, and for each word the value of its
  map there as a share of the map's maximum, the highest first; `view` is null without a place.
- `rrg:report`: the report on the page, or null.
- `rrg:notice`: a notice to show.
"""

from rrg.ui.components.findings import findings_table, findings_value
from rrg.ui.components.notice import Notice, notice
from rrg.ui.components.report_text import report_text, report_value
from rrg.ui.components.viewer import dropped_files, maps_value, viewer, views_value

__all__ = [
    "Notice",
    "dropped_files",
    "findings_table",
    "findings_value",
    "maps_value",
    "notice",
    "report_text",
    "report_value",
    "viewer",
    "views_value",
]
