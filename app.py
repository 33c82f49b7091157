"""Start the app: `python app.py [--data DIR]`. Also the entry point of the Hugging Face Space."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from threading import Thread

import tyro

from rrg.errors import InputError
from rrg.inference.cpu import configure_cpu
from rrg.ui.address import bypass_proxy, check_address
from rrg.ui.gradio_stubs import skip_stub_files
from rrg.ui.settings import OAUTH, Settings
from rrg.ui.upload_folder import UploadFolder
from rrg.ui.zero_gpu import register_zero_gpu


def main(data: Path | None = None) -> None:
    """Serve the app.

    Args:
        data: Folder with annotation.json and images/ or images.tar, whose studies the app offers. Default: RRG_DATA.
    """
    settings = Settings.from_env()
    if data is not None:
        settings = replace(settings, data=data)
    settings.make_home()
    check_address(settings.host, settings.port)
    bypass_proxy(os.environ, settings.host)
    # SIGTERM ends like Ctrl+C, so that uploads are deleted. A shell starts a background job with SIGINT ignored.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    uploads = UploadFolder(settings.home / "uploads")
    try:
        serve(settings, uploads.path)
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        uploads.close()


def serve(settings: Settings, uploads: Path) -> None:
    """Serve the app until the process is asked to end. Its uploads go to the folder `uploads`."""
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)  # Gradio reads it when it is imported, so the imports follow
    configure_cpu()
    skip_stub_files()
    if settings.zero_gpu:
        register_zero_gpu()
    from rrg.feedback import FeedbackStore
    from rrg.inference.library import ModelLibrary
    from rrg.ui.app import create_app, launch_options
    from rrg.ui.mcp import send_json
    from rrg.ui.service import Service

    store = FeedbackStore(settings.database_url, images=settings.images)
    library = ModelLibrary(settings.weights, settings.memory, "cpu" if settings.zero_gpu else None)
    mirror = None
    if settings.mirror is not None:
        from rrg.feedback.mirror import Mirror

        mirror = Mirror(store.database, settings.mirror, settings.home / "mirror")
        mirror.start()
    service = Service(settings, library, store, mirror)
    app = create_app(service, settings.auth == OAUTH)
    app.launch(**launch_options(settings, service), prevent_thread_lock=True)
    send_json(app)
    # The page is up. Only now load torch and the first model, which takes seconds.
    Thread(target=service.load_first_model, daemon=True).start()
    app.block_thread()


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except InputError as error:
        sys.exit(str(error))
