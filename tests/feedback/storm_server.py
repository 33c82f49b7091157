"""A small HTTP server around the store, for the storm: `python storm_server.py DATABASE_URL PORT`."""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from rrg.errors import InputError
from rrg.feedback import Assessment, FeedbackStore


def app(store: FeedbackStore) -> Starlette:
    """An endpoint that saves, and one that says that the server is up."""

    async def save(request: Request) -> JSONResponse:
        values = await request.json()
        try:
            saved = await run_in_threadpool(
                store.submit,
                values["report_id"],
                values["text"],
                values["reader"],
                Assessment.from_dict(values),
                values["key"],
            )
        except InputError as error:
            return JSONResponse({"error": str(error)}, status_code=503)
        return JSONResponse({"correction_id": saved.correction_id})

    async def ready(_: Request) -> JSONResponse:
        return JSONResponse({})

    return Starlette(routes=[Route("/save", save, methods=["POST"]), Route("/ready", ready)])


if __name__ == "__main__":
    uvicorn.run(app(FeedbackStore(sys.argv[1])), port=int(sys.argv[2]), log_level="warning")
