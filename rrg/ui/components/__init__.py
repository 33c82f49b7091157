"""The page's own elements, each a `gr.HTML` with a static template that a script beside it fills from its value.

Templates stay static because Gradio evaluates what Handlebars leaves as a JavaScript template literal: even an escaped
`{{text}}` would run a report that contains `${...}`. The scripts write every text with `textContent`.

The elements speak through events on `window`: `rrg:point` (the reader looks at a word, sentence or finding, or at
nothing), `rrg:pin` (keep that map), `rrg:shown` (what the viewer shows now), `rrg:report` (the report on the page) and
`rrg:say` (a notice to show).
"""

from rrg.ui.components.findings import findings_table, findings_value
from rrg.ui.components.notice import Notice, notice
from rrg.ui.components.report_text import report_text, report_value
from rrg.ui.components.viewer import maps_value, viewer, views_value

__all__ = [
    "Notice",
    "findings_table",
    "findings_value",
    "maps_value",
    "notice",
    "report_text",
    "report_value",
    "viewer",
    "views_value",
]
