"""What must fail: requests of other sites, under other names, to paths that lead elsewhere."""

import re
import socket
from itertools import product

import gate
import pytest

from tuner_app.page import limits
from tuner_app.page.access import RULES
from tuner_app.page.origin import Place
from tuner_app.store import audit, sessions

QUEUE = "/studio/gradio_api/queue"


@pytest.fixture(scope="module")
def me(gated):
    with gated.client() as admin:
        yield admin


HOSTS = (
    *(
        "evil.example",
        "evil.example:{port}",
        "localhost.evil.example:{port}",
        "[::2]:{port}",
        "192.0.2.1",
        "",
    ),
    *("127.0.0.1:{port}@evil.example", "127.0.0.1:@evil.example", "ann@127.0.0.1:{port}", "127.0.0.1:port"),
    *(
        "127.0.0.1.:{port}",
        "localhost.",
        "127.0.0.1:{port}:{port}",
        "[::1",
        "::1",
        "127.1:{port}",
        "0x7f000001",
    ),
    *("127.0.0.1/", "127.0.0.1:{port}/x", "127.0.0.1, evil.example", "evil.example#127.0.0.1", "[127.0.0.1]"),
)


def addresses():
    """Each address and method of the table, with something for what varies."""
    return [(re.sub(r"\{[^}]*\}", "x", rule.path), method) for rule in RULES for method in rule.methods]


def test_a_forged_host_is_refused_wherever_it_is_sent(gated, ann):
    forged = [host.format(port=gated.place.port) for host in HOSTS]
    for at, (path, method) in enumerate(addresses()):
        for host in forged if path == "/api/me" else (forged[at % len(forged)], "evil.example"):
            answer = ann.request(method, path, headers={"Host": host})
            assert answer.status_code == 400, (path, host)
            assert method == "HEAD" or "Host" in answer.json()["error"]
    for host in ("LOCALHOST:{port}", "127.0.0.1", "[::1]:1"):
        assert ann.get("/api/me", headers={"Host": host.format(port=gated.place.port)}).is_success


def test_two_hosts_or_none_are_refused(gated):
    host = f"Host: 127.0.0.1:{gated.place.port}\r\n"
    for lines in (host * 2, f"{host}Host: evil.example\r\n", ""):
        assert gated.sends(f"GET /join HTTP/1.1\r\n{lines}\r\n".encode()).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", None])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b'{"person": "me", "labels": []}'),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--',
        ),
        ("application/x-www-form-urlencoded", b"labels="),
        ("application/json", b'{"person": "me", "labels": []}'),
    ],
)
def test_what_another_site_posts_is_refused_wherever_it_is_sent(gated, me, origin, kind, body):
    for path in [path for path, method in addresses() if method == "POST"]:
        request = me.build_request("POST", path, content=body, headers={"Content-Type": kind, "X-Tuner": "1"})
        del request.headers["Origin"]
        if origin:
            request.headers["Origin"] = origin.format(port=gated.place.port)
        answer = me.send(request)
        assert (answer.status_code, answer.json()["error"][:7]) == (403, "Origin:"), path
    assert me.get("/api/me").is_success


def test_two_origins_are_none(gated, ann):
    for second in ("http://evil.example", gated.url):
        headers = [*ann.headers.raw, (b"origin", second.encode())]
        assert ann.post("/api/leave", headers=headers).status_code == 403


def test_a_form_cannot_post_even_from_here(gated, ann):
    request = ann.build_request("POST", "/api/labels", content=b"{}", headers={"Content-Type": "text/plain"})
    del request.headers["X-Tuner"]
    assert ann.send(request).status_code == 403


def test_another_sites_page_reads_and_embeds_nothing(ann):
    for site in ("cross-site", "same-site"):
        for dest in ("empty", "image", "script", "iframe"):
            headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Dest": dest}
            assert ann.get("/api/me", headers=headers).status_code == 403
    document = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
    assert ann.post("/api/leave", headers=document).status_code == 403
    opened = ann.get("/", headers=document)
    assert opened.is_success  # a link in a letter
    assert opened.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in opened.headers["content-security-policy"]
    assert not [name for name in opened.headers if name.startswith("access-control")]


NOTHING_ELSE = {
    "default-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    **{f"{what}-src": "'self'" for what in ("script", "style", "img", "font", "connect")},
}


def policy_of(answer):
    parts = answer.headers["content-security-policy"].split("; ")
    return dict(part.split(" ", 1) for part in parts)


def test_what_the_browser_is_told_to_forbid(gated, ann):
    gated.gradio()
    for path in ("/", "/join", "/worker.js", "/static/label.html", "/api/me", "/nowhere"):
        answer = ann.get(path)
        assert policy_of(answer) == NOTHING_ELSE, path
        for name in ("opener", "resource"):
            assert answer.headers[f"cross-origin-{name}-policy"] == "same-origin"
        assert "camera=()" in answer.headers["permissions-policy"]
    studio = policy_of(ann.get("/studio/"))
    scripts = studio.pop("script-src").split()
    assert scripts[0] == "'self'"
    assert all(one.startswith("'sha256-") for one in scripts[1:])
    for name in ("default-src", "form-action", "frame-ancestors", "connect-src"):
        assert studio.pop(name) == NOTHING_ELSE[name]
    assert not any("http" in told or "*" in told for told in studio.values())


def test_every_answer_has_the_headers(gated, ann):
    gated.gradio()
    with gated.stranger() as stranger:
        for answer in (
            ann.get("/"),
            ann.get("/nowhere"),
            ann.get("/studio/"),
            ann.get("/api/me", headers={"Host": "evil.example"}),
            stranger.get("/join"),
            stranger.get("/api/me"),
            ann.post("/api/labels", content=b"x" * (limits.BODY + 1)),
        ):
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "http" not in policy
            assert "unsafe-eval" not in policy
            assert "script-src 'self' 'unsafe-inline'" not in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "strict-transport-security" not in answer.headers
            assert "server" not in answer.headers
        assert ann.get("/api/me").headers["cache-control"] == "no-store"


def traversals():
    """Five hundred ways to write a path that leads out of a folder."""
    ups = [
        "..",
        "%2e%2e",
        "%252e%252e",
        ".%2e",
        "%c0%ae%c0%ae",
        "..%00",
        "....",
        "..;",
        "%uff0e%uff0e",
        ". .",
    ]
    slashes = ["/", "%2f", "%252f", "\\", "%5c", "%c0%af", "//"]
    files = ["etc/passwd", "tuner.sqlite", "secret.txt"]
    found = [
        slash.join([up] * depth) + slash + file
        for up, slash, depth, file in product(ups, slashes, (1, 4, 12), files)
    ]
    return found[:500]


@pytest.mark.slow
def test_no_encoding_of_a_path_leads_to_a_file(gated, ann):
    gated.gradio()
    places = ["/static/", "/studio/static/", "/studio/assets/", "/studio/gradio_api/file=", "/api/import/"]
    ways = traversals()
    assert len(ways) >= 500
    host = f"Host: 127.0.0.1:{gated.place.port}\r\nCookie: {gated.app.state.cookie}={gated.session('ann')}"
    with socket.create_connection(("127.0.0.1", gated.place.port)) as wire:
        answers = wire.makefile("rb")
        for number, way in enumerate(ways):
            target = (places[number % len(places)] + way).replace(" ", "%20")
            wire.sendall(f"GET {target} HTTP/1.1\r\n{host}\r\n\r\n".encode())
            status, body = gate.answer_of(answers)
            assert status in (400, 403, 404, 405), target
            assert b"root:" not in body, target
            assert b"SQLite" not in body, target
            assert gate.SECRET.encode() not in body, target


def test_hosts_by_the_place():
    far = Place("0.0.0.0", 7077, proxy="label.example.org", names=("box.example.org",))
    for host in ("label.example.org", "192.168.1.7:7077", "box.example.org:80", "[fe80::1]:7077"):
        assert far.serves(host)
    for host in ("evil.example:7077", "label.example.org.evil.example", "", "box.example.org@evil.example"):
        assert not far.serves(host)
    near = Place("127.0.0.1", 7077)
    for host in ("localhost:7077", "127.0.0.1:9000", "[::1]:7077"):
        assert near.serves(host)
    for host in ("192.168.1.7:7077", "evil.example", "", ":7077"):
        assert not near.serves(host)


def test_the_proxy_alone_says_what_was_https_and_who_came(tmp_path):
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "6.6.6.6, 203.0.113.9"}
    host = {"Host": "label.example.org"}
    with gate.gate(tmp_path / "a", proxy="label.example.org") as page, page.client("ann") as ann:
        answer = ann.get("/api/me", headers=host | forwarded)
        assert "strict-transport-security" in answer.headers
        secure = host | forwarded | {"Origin": "https://label.example.org"}
        token = sessions.invite(page.store, "ann")
        joined = ann.post("/api/join", json={"token": token}, headers=secure)
        assert "Secure" in joined.headers["set-cookie"]
        assert audit.listed(page.store)[0].address == "203.0.113.9", "the one that the proxy has added"
        nonsense = secure | {"X-Forwarded-For": "<script>"}
        ann.post("/api/join", json={"token": token}, headers=nonsense)
        assert audit.listed(page.store)[0].address == "127.0.0.1"
        assert "strict-transport-security" not in ann.get("/api/me", headers=host).headers
    elsewhere = {"proxy": "label.example.org", "proxy_address": "10.0.0.1"}
    with gate.gate(tmp_path / "b", **elsewhere) as page, page.client("ann") as ann:
        answer = ann.get("/api/me", headers=host | forwarded)
        assert "strict-transport-security" not in answer.headers
