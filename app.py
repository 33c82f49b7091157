"""Start the app: `python app.py [--data DIR]`. Also the entry point of the Hugging Face Space."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from threading import Thread

import tyro

from rrg.errors import InputError
from rrg.inference.cpu import configure_cpu
from rrg.ui.gradio_stubs import skip_stub_files
from rrg.ui.settings import Settings


def main(data: Path | None = None) -> None:
    """Serve the app.

    Args:
        data: Folder with annotation.json and images/ or images.tar, whose studies the app offers. Default: RRG_DATA.
    """
    settings = Settings.from_env()
    if data is not None:
        settings = replace(settings, data=data)
    settings.make_home()
    uploads = settings.home / "uploads"
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)  # Gradio reads it when it is imported, so the imports follow
    configure_cpu()
    skip_stub_files()
    from rrg.feedback import FeedbackStore
    from rrg.inference.library import ModelLibrary
    from rrg.ui.app import create_app, launch_options
    from rrg.ui.service import Service
    from rrg.ui.uploads import delete_old_uploads

    delete_old_uploads(uploads)
    store = FeedbackStore(settings.database_url, images=settings.images)
    service = Service(settings, ModelLibrary(settings.weights, settings.memory), store)
    if settings.mirror is not None:
        from rrg.feedback.mirror import Mirror

        Mirror(store.database, settings.mirror, settings.home / "mirror").start()
    app = create_app(service)
    app.launch(**launch_options(settings, service), prevent_thread_lock=True)
    # The page is up. Only now load torch and the first model, which takes seconds.
    Thread(target=service.load_first_model, daemon=True).start()
    app.block_thread()


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except InputError as error:
        sys.exit(str(error))
