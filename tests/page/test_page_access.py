"""Who may do what: the table against the app's real routes, and each route against each role."""

import re
import time

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from tuner_app.page.access import RULES
from tuner_app.store import audit, members, sessions

OPEN = {
    "/join",
    "/api/join",
    "/favicon.ico",
    "/static/{name}",
    "/worker.js",
}  # without a session: all that there is
# What Gradio has and the studio does not need: nobody reaches it. A path that a new release brings is in
# neither this list nor the table, and then somebody has to read what it does.
_REFUSED = """
    /openapi.json /login/ /login /logout /svelte/{path:path} /gradio_api/deep_link /config /config/
    /favicon.ico /robots.txt /pwa_icon/{size} /pwa_icon /manifest.json /monitoring /monitoring/summary
    /monitoring/{key} /gradio_api/user/ /gradio_api/user /gradio_api/login_check/ /gradio_api/login_check
    /gradio_api/token/ /gradio_api/token /gradio_api/app_id/ /gradio_api/dev/reload
    /gradio_api/runs/ /gradio_api/runs /gradio_api/info /gradio_api/info/ /gradio_api/openapi.json
    /gradio_api/custom_component/{id}/{environment}/{type}/{file_name} /gradio_api/proxy={url_path:path}
    /gradio_api/file={path_or_url:path} /gradio_api/stream/{event_id} /gradio_api/stream/{event_id}/close
    /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8
    /gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext}
    /gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file /gradio_api/file/{path:path}
    /gradio_api/reset/ /gradio_api/api/{api_name}/ /gradio_api/api/{api_name} /gradio_api/run/{api_name}/
    /gradio_api/call/v2/{api_name}/ /gradio_api/call/v2/{api_name} /gradio_api/call/{api_name}/
    /gradio_api/call/{api_name} /gradio_api/call/{api_name}/{event_id}
    /gradio_api/call/v2/{api_name}/{event_id} /gradio_api/component_server/ /gradio_api/component_server
    /gradio_api/queue/status /gradio_api/upload_progress /gradio_api/upload /gradio_api/startup-events
    /gradio_api/theme.css /gradio_api/process_recording /gradio_api/vibe-edit /gradio_api/vibe-edit/
    /gradio_api/undo-vibe-edit /gradio_api/undo-vibe-edit/ /gradio_api/vibe-code /gradio_api/vibe-code/
    /gradio_api/vibe-starter-queries /gradio_api/vibe-starter-queries/
"""
REFUSED_OF_GRADIO = _REFUSED.split()


def routes(app, prefix=""):
    """(path, method) of all that an app answers; what is mounted in it apart."""
    found = set()
    for route in iter_route_contexts(app.routes):
        found |= {(prefix + route.path, method) for method in route.methods or ()}
    return found


def somewhere(template):
    """An address of this template."""
    return re.sub(r"\{[^}]*\}", "x", template)


def test_every_route_of_ours_is_in_the_table_and_the_other_way_round(gated):
    table = {(rule.path, method) for rule in RULES for method in rule.methods}
    assert routes(gated.app) == {(path, method) for path, method in table if not path.startswith("/studio/")}


def test_every_route_of_gradio_is_needed_or_refused(gated):
    gradio = {path for path, _ in routes(gated.gradio(), "/studio")}
    needed = {rule.path for rule in RULES if rule.path.startswith("/studio/")}
    refused = {f"/studio{path}" for path in REFUSED_OF_GRADIO}
    assert needed <= gradio
    assert gradio - needed == refused


def test_without_a_session_only_the_way_in_is_open(gated):
    assert {rule.path for rule in RULES if rule.role is None} == OPEN
    with gated.stranger() as stranger:
        for path, method in sorted(routes(gated.app) | routes(gated.gradio(), "/studio")):
            if path not in OPEN:
                answer = stranger.request(method, somewhere(path))
                assert answer.status_code in (401, 405, 429) or answer.headers["location"] == "/join", path
    # A wrong cookie is no session either.
    with gated.stranger(cookies={gated.app.state.cookie: "0" * 43}) as stranger:
        for path, method in sorted(routes(gated.app) | routes(gated.gradio(), "/studio")):
            if path not in OPEN:
                answer = stranger.request(method, somewhere(path))
                assert answer.status_code in (401, 405, 429) or answer.headers["location"] == "/join", path


@pytest.mark.parametrize("name", ["ann", "rex", "me"])
def test_what_gradio_has_besides_is_refused_to_everybody(gated, name):
    with gated.client(name) as client:
        for path, method in sorted(routes(gated.gradio(), "/studio")):
            if path.removeprefix("/studio") in REFUSED_OF_GRADIO:
                answer = client.request(method, somewhere(path))
                assert answer.status_code == 404, path
                assert method == "HEAD" or answer.json()["error"] == "There is nothing here.", path


@pytest.mark.parametrize("path", ["/gradio_api/brand_new", "/brand_new", "/gradio_api/queue/brand_new"])
def test_what_a_new_gradio_brings_is_refused_until_it_is_in_the_table(gated, path):
    gradio = gated.gradio()
    gradio.add_api_route(path, lambda: "open", methods=["GET", "POST"])
    gradio.router.routes.insert(0, gradio.router.routes.pop())
    try:
        with gated.client() as admin, gated.stranger() as stranger:
            for client, status in ((admin, 404), (stranger, 401)):
                assert client.get(f"/studio{path}").status_code == status
                assert client.post(f"/studio{path}").status_code == status
    finally:
        del gradio.router.routes[0]


@pytest.mark.parametrize(("name", "denied"), [("ann", {"reviewer", "admin"}), ("rex", {"admin"})])
def test_a_role_does_not_reach_what_asks_for_a_higher_one(gated, name, denied):
    rules = [rule for rule in RULES if rule.role in denied]
    assert rules
    with gated.client(name) as client:
        for rule in rules:
            for method in rule.methods:
                assert client.request(method, somewhere(rule.path)).status_code == 403, rule.path


def test_a_method_that_is_not_in_the_table_is_refused(gated):
    gated.gradio()
    with gated.client() as admin:
        for rule in RULES:
            for method in {"GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"} - set(rule.methods):
                answer = admin.request(method, somewhere(rule.path))
                assert answer.status_code == 405, (method, rule.path)
                assert answer.json()["error"] == "This address has no such method."


def test_a_role_is_asked_for_again_after_a_change(gated):
    members.add(gated.store, "dan", "admin")
    with gated.client("dan") as client:
        assert client.get("/api/export").status_code != 403
        members.change(gated.store, "dan", role="annotator", daily_limit=None)
        time.sleep(1.1)  # for as long a session is not looked up again
        assert client.get("/api/export").status_code == 403


def test_a_link_is_exchanged_once_for_a_cookie_that_no_script_and_no_other_site_has(gated):
    token = sessions.invite(gated.store, "ann")
    with gated.stranger() as browser:
        answer = browser.post("/api/join", json={"token": token})
        assert answer.is_success
        cookie = answer.headers["set-cookie"]
        assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/"))
        assert browser.get("/api/me").json()["name"] == "ann"
        assert browser.post("/api/join", json={"token": token}).status_code == 403
        assert browser.post("/api/leave").is_success
    files = gated.home.folder.glob("tuner.sqlite*")
    kept = b"".join(file.read_bytes() for file in files)
    assert token.encode() not in kept
    session = cookie.split("=", 1)[1].split(";")[0]
    assert session.encode() not in kept
    time.sleep(1.1)
    assert httpx.get(f"{gated.url}/api/me", cookies={gated.app.state.cookie: session}).status_code == 401
    noted = [(entry.action, entry.person) for entry in audit.listed(gated.store)]
    assert noted[:3] == [("left", "ann"), ("join refused", None), ("joined", "ann")]


def test_a_link_for_somebody_else_is_exchanged_only_by_who_was_told(gated):
    token = sessions.invite(gated.store, "bea")
    with gated.client("ann") as browser:
        here = {"Cookie": f"{gated.app.state.cookie}={browser.cookies[gated.app.state.cookie]}"}
        refused = browser.post("/api/join", json={"token": token})
        assert refused.status_code == 409
        assert (refused.json()["here"], refused.json()["invited"]) == ("ann", "bea")
        assert browser.get("/api/me").json()["name"] == "ann"
        answer = browser.post("/api/join", json={"token": token, "instead": True})
        assert answer.is_success
        session = answer.cookies[gated.app.state.cookie]
    noted = [(entry.action, entry.person) for entry in audit.listed(gated.store)]
    assert noted[:2] == [("joined", "bea"), ("left", "ann")]
    time.sleep(1.1)
    with gated.stranger() as late:
        assert late.get("/api/me", headers=here).status_code == 401  # whose session was replaced is out
        bea = {"Cookie": f"{gated.app.state.cookie}={session}"}
        assert late.get("/api/me", headers=bea).json()["name"] == "bea"
        again = {"token": sessions.invite(gated.store, "bea")}
        assert late.post("/api/join", json=again, headers=bea).is_success  # one's own asks nothing


def test_who_is_shut_out_is_out_within_five_seconds_open_streams_included(gated):
    gated.gradio()
    members.add(gated.store, "eve", "reviewer")
    with gated.client("eve") as client, client.stream("GET", "/studio/gradio_api/heartbeat/eves") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("data")
        assert client.get("/api/me").is_success
        members.revoke(gated.store, "eve")
        since = time.monotonic()
        list(lines)
        assert time.monotonic() - since < 5
        assert client.get("/api/me").status_code == 401
