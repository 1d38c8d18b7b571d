"""Where the page is reached, and that a request was meant for it: its Host, its Origin, its path."""

import ipaddress
import re
import socket
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tuner_app.page.access import refuse

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_SAFE = ("GET", "HEAD")
# A path is compared after its percent signs are decoded: what could then read as another one is refused.
_MISLEADING = re.compile(rb"%(2f|5c|00|25|2e)|//|\\|[\x00-\x20]|(^|/)\.\.?(/|$)", re.IGNORECASE)

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^:@\[\]]+)(:[0-9]{1,5})?")
_OF_PROXIES = (b"forwarded", b"x-forwarded-", b"x-gradio-")  # Gradio takes its own address from them


@dataclass(frozen=True)
class Place:
    """Where the page listens and by which names it is reached.

    `proxy` is the host name of a TLS proxy before it, which reaches it from `proxy_address`; `names` are
    further host names by which people reach it.
    """

    address: str
    port: int
    tls: bool = False
    proxy: str = ""
    proxy_address: str = "127.0.0.1"
    names: tuple[str, ...] = ()

    @property
    def local(self) -> bool:
        """Whether people of this machine alone reach it."""
        return ipaddress.ip_address(self.address).is_loopback and not self.proxy

    @property
    def url(self) -> str:
        """The address to open in a browser at this machine."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        if ipaddress.ip_address(self.address).is_unspecified:
            host = "127.0.0.1"
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def hint(self) -> str:
        """What to do for someone who came by a name that is not known."""
        return "" if self.local else "Who runs the page can name it with --name."

    def serves(self, host: str) -> bool:
        """Whether a request with this Host header was meant for the page.

        A name that is not ours would let a foreign page read this one under its own name (DNS rebinding).
        """
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found["name"]
        known = (*LOOPBACK, self.address, *self.names, *filter(None, [self.proxy]))
        if self.local:  # by any port: it may be forwarded, as by ssh -L
            return name in known
        return name in (*known, *_own_names()) or _is_address(name)


def _own_names() -> tuple[str, str]:
    name = socket.gethostname().lower()
    return name, f"{name}.local"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


class Origin:
    """Middleware: refuses what was meant for another host, and what another site's page has sent."""

    def __init__(self, app: ASGIApp, place: Place) -> None:
        self._app = app
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app's answer, or the reason why there is none."""
        if scope["type"] == "http":
            self._trust_the_proxy(scope)
            refused = self._refusal(scope, Headers(scope=scope))
            if refused is not None:
                await refused(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _trust_the_proxy(self, scope: Scope) -> None:
        """Take scheme and client from the proxy's headers, when the request came from the proxy; nobody
        after this reads them."""
        headers = Headers(raw=scope["headers"])
        scope["headers"] = [pair for pair in scope["headers"] if not pair[0].startswith(_OF_PROXIES)]
        if not self._place.proxy or not scope["client"] or scope["client"][0] != self._place.proxy_address:
            return
        if headers.get("x-forwarded-proto") == "https":
            scope["scheme"] = "https"
        last = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()  # the one that the proxy added
        if _is_address(last):
            scope["client"] = (last, 0)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        host = headers.getlist("host")
        if len(host) != 1 or not self._place.serves(host[0].lower()):
            return refuse(400, "Host: this page is not reached by that name.", do=self._place.hint)
        if _MISLEADING.search(scope.get("raw_path") or scope["path"].encode()):
            return refuse(400, "This is no address of the page.")
        if scope["method"] not in _SAFE:
            if headers.getlist("origin") != [f"{scope['scheme']}://{host[0]}"]:
                return refuse(403, "Origin: this came from another site.")
            if scope["path"].startswith("/api/") and headers.get("x-tuner") != "1":
                return refuse(403, "X-Tuner: this did not come from the page's own program.")
        site = headers.get("sec-fetch-site", "same-origin")
        opened = headers.get("sec-fetch-dest") == "document" and scope["method"] in _SAFE
        if site not in ("same-origin", "none") and not opened:
            return refuse(403, "Sec-Fetch-Site: this came from another site.")
        return None
