"""What the browser is told to forbid: scripts, pictures and requests from anywhere else, frames, guessing."""

import re
from base64 import b64encode
from hashlib import sha256

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NONE = "default-src 'none'; form-action 'none'; frame-ancestors 'none'"
STRICT = (
    f"{_NONE}; base-uri 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'"
)
# Gradio sets a base, starts by inline scripts, which are named by their hashes, and styles what it draws in
# place.
STUDIO = (
    f"{_NONE}; base-uri 'self'; script-src 'self'{{scripts}}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; manifest-src 'self'"
)
ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
A_YEAR = "max-age=31536000"
STUDIO_PAGE = "/studio/"
_INLINE = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)


class Headers:
    """Middleware: every answer carries these headers, whoever made it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app's answer with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        whole = scope["path"] == STUDIO_PAGE
        if whole:  # its scripts are looked for, which takes it uncompressed
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
        start: Message = {}
        parts: list[bytes] = []

        async def send_with(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                _add(scope, MutableHeaders(scope=message))
                if not whole:
                    await send(message)
            elif not whole:
                await send(message)
            else:
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    page = b"".join(parts)
                    MutableHeaders(scope=start)["content-security-policy"] = _for_studio(page)
                    await send(start)
                    await send({"type": "http.response.body", "body": page})

        await self._app(scope, receive, send_with)


def _add(scope: Scope, headers: MutableHeaders) -> None:
    headers.update(ALWAYS)
    headers["content-security-policy"] = _for_studio(b"") if scope["path"].startswith("/studio") else STRICT
    headers.setdefault("cache-control", "no-store")
    if scope["scheme"] == "https":
        headers["strict-transport-security"] = A_YEAR


def _for_studio(page: bytes) -> str:
    hashes = [b64encode(sha256(script).digest()).decode() for script in _INLINE.findall(page)]
    return STUDIO.format(scripts="".join(f" 'sha256-{one}'" for one in hashes))
