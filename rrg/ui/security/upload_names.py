"""Neutral names of uploaded files, set before Gradio writes them: people name files after patients.

Gradio writes an upload under the name that the multipart body gives. `NeutralNames` passes the body on with random
names. They cannot be guessed, so a session cannot name another's file.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers, MutableHeaders
from starlette.formparsers import MultiPartException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_FILES = 4
"""Files of one upload. A study has one or two; the app names the rest of a few files in its message."""
_SUFFIX = re.compile(r"\.(dcm|dicom|png|jpe?g|webp|jp2|tiff?)", re.IGNORECASE)


def neutral_name(given: str) -> str:
    """Return a random name with the suffix of the given one, if it is that of an image."""
    suffix = _SUFFIX.fullmatch(given[given.rfind(".") :]) if "." in given else None
    return f"upload-{secrets.token_hex(16)}{suffix[0].lower() if suffix else ''}"


class NeutralNames:
    """Renames the files of uploads. A body that is no multipart form goes on unchanged; Gradio refuses it."""

    def __init__(self, app: ASGIApp, path: str, uploaded: Callable[[Scope], None] | None = None) -> None:
        """`path`: end of the path of uploads. `uploaded` is called with the scope of each."""
        self._app = app
        self._path = path
        self._uploaded = uploaded or (lambda scope: None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith(self._path):
            await self._app(scope, receive, send)
            return
        kind, options = parse_options_header(Headers(scope=scope).get("content-type"))
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            await self._app(scope, receive, send)
            return
        self._uploaded(scope)
        scope = {**scope, "headers": list(scope["headers"])}
        del MutableHeaders(scope=scope)["content-length"]  # the new names have another length
        body = _Renamed(options[b"boundary"])

        async def renamed() -> Message:
            message = await receive()
            if message["type"] != "http.request":
                return message
            return {**message, "body": body.take(message.get("body", b""), last=not message.get("more_body", False))}

        await self._app(scope, renamed, send)


class _Renamed:
    """A multipart body in chunks, with other names of its files."""

    def __init__(self, boundary: bytes) -> None:
        self._boundary = boundary
        self._out = bytearray()
        self._field = bytearray()
        self._value = bytearray()
        self._files = 0
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": lambda: self._out.extend(b"--" + boundary + b"\r\n"),
                "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._header,
                "on_headers_finished": lambda: self._out.extend(b"\r\n"),
                "on_part_data": lambda data, start, end: self._out.extend(data[start:end]),
                "on_part_end": lambda: self._out.extend(b"\r\n"),
                "on_end": lambda: self._out.extend(b"--" + boundary + b"--\r\n"),
            },
        )

    def take(self, chunk: bytes, last: bool) -> bytes:
        """Return the next part of the body. Raises MultiPartException for a malformed one and for too many files."""
        try:
            self._parser.write(chunk)
            if last:
                self._parser.finalize()
        except MultipartParseError as error:
            raise MultiPartException("The upload is malformed. Send it again.") from error
        out = bytes(self._out)
        self._out.clear()
        return out

    def _header(self) -> None:
        field, value = bytes(self._field), bytes(self._value)
        self._field.clear()
        self._value.clear()
        if field.lower() == b"content-disposition":
            _, options = parse_options_header(value)
            if b"filename" not in options and options.get(b"name", b"files") == b"files":
                raise MultiPartException("The upload is malformed: a file has no name. Send it again.")
            value = b'form-data; name="' + options.get(b"name", b"files").replace(b'"', b"") + b'"'
            if b"filename" in options:
                self._files += 1
                if self._files > MAX_FILES:
                    raise MultiPartException(f"An upload has at most {MAX_FILES} files. A study has one or two.")
                value += f'; filename="{neutral_name(options[b"filename"].decode(errors="replace"))}"'.encode()
        elif field.lower() != b"content-type":
            return  # no other header is used
        self._out.extend(field + b": " + value + b"\r\n")
