"""`tuner page` as a program: where it listens and whom it warns, its end, and what it imports."""

import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from engine.errors import UserError
from tuner_app import settings
from tuner_app.page import serve
from tuner_app.page.serve import Options
from tuner_app.paths import Home
from tuner_app.store import Store, members, people, sessions

ORIGIN = re.compile(r"(https?://\S+)/join#(\S+)")


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.create()
    settings.save(home, settings.Settings(chat_url="http://127.0.0.1:9"))
    return home


@pytest.fixture
def store(home):
    return Store.open(home.database, migrate=True)


@contextmanager
def served(home, *words):
    """The program, and its link's address and token."""
    command = [str(Path(sys.executable).with_name("tuner")), "--home", str(home.folder), "page", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = ""
        while not (link := ORIGIN.search(said)):
            line = process.stdout.readline()
            assert line, said
            said += line
        yield process, *link.groups(), said
    finally:
        process.kill()
        process.communicate()


def test_it_prints_a_link_that_works_once_and_ends_when_told(home, store):
    with served(home) as (process, url, token, _):
        headers = {"Origin": url, "X-Tuner": "1"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as browser:
            assert browser.post("/api/join", json={"token": token}).is_success
            assert browser.get("/api/me").json()["role"] == "admin"
            assert browser.post("/api/join", json={"token": token}).status_code == 403
            with browser.stream("GET", "/studio/gradio_api/heartbeat/mine") as stream:
                lines = stream.iter_lines()
                assert next(lines)
                process.send_signal(signal.SIGTERM)
                with suppress(httpx.RemoteProtocolError):
                    list(lines)  # closed, not left to the browser's patience
        rest = process.communicate(timeout=30)[0]
        assert process.returncode == 0
        assert "Traceback" not in rest
        assert token not in rest.split("Ctrl+C")[-1]


def test_a_second_page_of_one_home_works_beside_the_first(home, store):
    with served(home) as (_, first, token, _), served(home) as (_, second, other, _):
        assert first != second
        for url, secret in ((second, token), (first, other)):  # either takes the other's link
            headers = {"Origin": url, "X-Tuner": "1"}
            with httpx.Client(base_url=url, headers=headers) as browser:
                assert browser.post("/api/join", json={"token": secret}).is_success
                assert browser.get("/api/me").is_success


def test_a_taken_port_is_said(home, store):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match="port") as told:
            serve.run(home, store, Options(port=taken.getsockname()[1]))
    assert "--port" in told.value.do


@pytest.mark.parametrize(
    ("options", "what", "do"),
    [
        (Options(listen="0.0.0.0"), "nobody but you is named", "tuner people add"),
        (Options(proxy="label.example.org"), "nobody but you is named", "tuner people add"),
        (Options(listen="example.org"), "no IP address", "--listen"),
        (Options(listen="203.0.113.77"), "cannot be at", "--port"),
        (Options(cert=Path("x.pem")), "needs a certificate and its key", "--tls-key"),
        (Options(cert=Path("no.pem"), key=Path("no.pem")), "cannot be read", "--tls-cert"),
        (Options(cert=Path(__file__), key=Path(__file__)), "cannot be used", "--tls-cert"),
    ],
)
def test_what_would_not_be_safe_or_cannot_be_is_refused(home, store, options, what, do):
    people.me(store)
    with pytest.raises(UserError, match=what) as told:
        serve.run(home, store, options)
    assert do in told.value.do


def test_others_are_let_in_with_a_loud_warning_where_neither_tls_nor_a_proxy_is(home, store):
    members.add(store, "ann", "annotator")
    with served(home, "--listen", "0.0.0.0", "--port", "0") as (_, url, _, said):
        assert "WARNING: neither TLS nor a proxy" in said
        assert httpx.get(f"{url}/join").is_success
        assert httpx.get(f"{url}/join", headers={"Host": "evil.example"}).status_code == 400


def test_over_tls_the_cookie_is_secure_and_the_browser_is_told_to_stay_there(home, store, tmp_path):
    cert, key = certificate(tmp_path)
    members.add(store, "ann", "annotator")
    token = sessions.invite(store, "ann")
    words = ("--listen", "127.0.0.1", "--tls-cert", str(cert), "--tls-key", str(key))
    with served(home, *words) as (_, url, _, said):
        assert url.startswith("https://")
        assert "WARNING" not in said
        trusting = ssl.create_default_context(cafile=str(cert))
        with httpx.Client(base_url=url, headers={"Origin": url, "X-Tuner": "1"}, verify=trusting) as browser:
            joined = browser.post("/api/join", json={"token": token})
            assert "Secure" in joined.headers["set-cookie"]
            assert joined.headers["strict-transport-security"].startswith("max-age=")
            assert browser.get("/api/me").json()["name"] == "ann"


def certificate(folder):
    """A certificate of 127.0.0.1 that it signs itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("this machine has no openssl")
    cert, key = folder / "cert.pem", folder / "key.pem"
    how = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test"
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([openssl, *how.split(), *files], check=True, capture_output=True)
    return cert, key


def test_the_page_imports_nothing_heavy_and_labelling_not_even_gradio():
    code = (
        "import sys, tuner_app.page.serve\n"
        "heavy = {'torch', 'transformers', 'peft', 'trl', 'bitsandbytes', 'accelerate', 'textual'}\n"
        "first = (heavy | {'gradio', 'pandas', 'numpy'}) & set(sys.modules)\n"
        "import tuner_app.page.studio\n"
        "print(sorted(first | heavy & set(sys.modules)), 'gradio' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[] True"
