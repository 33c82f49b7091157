"""The page's own components, one folder each: a `gr.HTML` with a static template and a script that fills it.

Templates are static because Gradio evaluates the output of Handlebars as a JavaScript template literal: even an
escaped `{{text}}` would execute a report that contains `${...}`. The scripts write every text with `textContent`.

The scripts communicate through events on `window`. A component may be on the page several times: the `channel` of an
event ("read" unless stated) says which of them it concerns. Column n of the Compare tab has the channel `compare-n`.
- `rrg:point`: the pointer or focus is on a word, sentence or finding; `kind` is null when it leaves. Words and
  sentences of an edited text have the kinds "edited-word" and "edited-sentence".
- `rrg:pin`: pin the map of a word, sentence or finding, or release it if it is pinned; `kind` is null to release any.
- `rrg:choose-finding`: pin the finding with this index, chosen in the overlay menu.
- `rrg:shown`: the map that the viewer shows now.
- `rrg:place`: the place of a view (`row` and `column` in [0, 1]) that was looked up, and for each word of the report
  (`words`) and of its edited text (`edited`) the value of its map there as a share of the map's maximum, the highest
  first; `view` is null without a place.
- `rrg:report`: the report on the page, or null.
- `rrg:study`: the study on the page, or null.
- `rrg:step`: open the next (1) or previous (-1) study of the list. `rrg:flag`: flag the open study.
- `rrg:edit`: go to the editor. `rrg:save`: save it. `rrg:accept`: save that the report is right as it is.
- `rrg:saved`: the id of the saved correction, or null. `rrg:reader`: the reader's name has changed.
- `rrg:boxes`: the boxes of the correction, for the viewer. `rrg:box`: a new one was drawn; `rrg:box-remove`: its index.
- `rrg:drafts`: the drafts have changed. `rrg:status`: the tone of a notice.
- `rrg:connection`: whether the server answers.
- `rrg:hide-reference`: whether the reference is hidden until the correction is saved; the same in all channels.
"""

from rrg.ui.components.editor import editor, editor_value
from rrg.ui.components.export_menu import export_menu
from rrg.ui.components.findings import findings_table, findings_value
from rrg.ui.components.model_card import Example, example_pictures, model_card_view, speed_text
from rrg.ui.components.model_select import model_select
from rrg.ui.components.notes import chosen_remedy, notes_list, notes_value
from rrg.ui.components.notice import Notice, notice
from rrg.ui.components.reference import reference_panel, reference_value
from rrg.ui.components.report_text import edited_value, report_text, report_value
from rrg.ui.components.study_header import study_header, study_value
from rrg.ui.components.study_list import rows_value, study_list
from rrg.ui.components.viewer import dropped_files, edited_maps_value, maps_value, viewer, views_value

__all__ = [
    "Example",
    "Notice",
    "chosen_remedy",
    "dropped_files",
    "edited_maps_value",
    "edited_value",
    "editor",
    "editor_value",
    "example_pictures",
    "export_menu",
    "findings_table",
    "findings_value",
    "maps_value",
    "model_card_view",
    "model_select",
    "notes_list",
    "notes_value",
    "notice",
    "reference_panel",
    "reference_value",
    "report_text",
    "report_value",
    "rows_value",
    "speed_text",
    "study_header",
    "study_list",
    "study_value",
    "viewer",
    "views_value",
]
