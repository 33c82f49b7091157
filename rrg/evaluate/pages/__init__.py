"""HTML pages of figures and tables that need nothing else: no script, no request."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

_TEMPLATES = Environment(
    loader=PackageLoader("rrg.evaluate", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def offline_page(template: str, **content: Any) -> str:
    """Render a template of `rrg/evaluate` that extends `pages/base.html`.

    Every text is escaped; a content security policy in the page forbids scripts and requests.
    """
    return _TEMPLATES.get_template(template).render(**content)
