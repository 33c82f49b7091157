"""Start the app: `python app.py [--data DIR]`. Also the entry point of the Hugging Face Space."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import tyro

from rrg.errors import InputError
from rrg.inference.cpu import configure_cpu
from rrg.ui.settings import Settings


def main(data: Path | None = None) -> None:
    """Serve the app.

    Args:
        data: Folder with annotation.json and images/ or images.tar, whose studies the app offers. Default: RRG_DATA.
    """
    settings = Settings.from_env()
    if data is not None:
        settings = replace(settings, data=data)
    uploads = settings.home / "uploads"
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)  # Gradio reads it when it is imported, so the imports follow
    configure_cpu()
    from rrg.feedback import FeedbackStore
    from rrg.inference.library import ModelLibrary
    from rrg.ui.app import create_app, launch_options
    from rrg.ui.uploads import delete_old_uploads

    delete_old_uploads(uploads)
    app = create_app(settings, ModelLibrary(settings.weights, settings.memory), FeedbackStore(settings.database_url))
    app.launch(**launch_options(settings))


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except InputError as error:
        sys.exit(str(error))
