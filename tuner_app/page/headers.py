"""What the browser is told to forbid: scripts, pictures and requests from anywhere else, frames, guessing."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NONE = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
STRICT = f"{_NONE}; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'"
# Gradio starts by inline scripts and styles its components in place.
STUDIO = (
    f"{_NONE}; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:"
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


class Headers:
    """Middleware: every answer carries these headers, whoever made it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app's answer with the headers."""

        async def send_with(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(ALWAYS)
                headers["content-security-policy"] = STUDIO if scope["path"].startswith("/studio") else STRICT
                headers.setdefault("cache-control", "no-store")
                if scope["scheme"] == "https":
                    headers["strict-transport-security"] = A_YEAR
            await send(message)

        await self._app(scope, receive, send_with)
