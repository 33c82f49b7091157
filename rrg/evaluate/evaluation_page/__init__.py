"""One page of an evaluation: figures, plots and single studies."""

from rrg.evaluate.evaluation_page.content import PageContent, Table, figures_table, page_content
from rrg.evaluate.evaluation_page.page import HTML, MARKDOWN, write_page
from rrg.evaluate.evaluation_page.tables import results_facts, results_tables

__all__ = [
    "HTML",
    "MARKDOWN",
    "PageContent",
    "Table",
    "figures_table",
    "page_content",
    "results_facts",
    "results_tables",
    "write_page",
]
