"""The app: one page and three HTTP endpoints over a model library and a feedback store."""

from rrg.ui.app import create_app, launch_options
from rrg.ui.intake import delete_left_uploads

__all__ = ["create_app", "delete_left_uploads", "launch_options"]
