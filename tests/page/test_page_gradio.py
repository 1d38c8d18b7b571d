"""What Gradio would let a client do: name files, and take part in other people's sessions."""

from itertools import cycle

import gate
import pytest

QUEUE = "/studio/gradio_api/queue"
SECRET = "the secret of another file"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gradio")
    (folder / "secret.txt").write_text(SECRET)
    with gate.gate(folder / "home") as served:
        yield served


@pytest.fixture
def ann(page):
    with page.client("ann") as client:
        yield client


@pytest.fixture
def bea(page):
    with page.client("bea") as client:
        yield client


def asked(page, **more):
    """The body of an event of the studio's first listener."""
    dependency = page.gradio().get_blocks().config["dependencies"][0]
    body = {"data": [None] * len(dependency["inputs"]), "fn_index": dependency["id"], "session_hash": "s"}
    return body | more


def test_a_session_and_an_event_are_whose_they_were_first(page, ann, bea):
    joined = ann.post(f"{QUEUE}/join", json=asked(page, session_hash="anns"))
    assert joined.is_success
    event = joined.json()["event_id"]
    cancel = {"session_hash": "beas", "fn_index": 0, "event_id": event}
    for answer in (
        bea.post(f"{QUEUE}/join", json=asked(page, session_hash="anns")),
        bea.post("/studio/gradio_api/run/predict", json=asked(page, session_hash="anns")),
        bea.post("/studio/gradio_api/run/predict", json=asked(page, event_id=event)),
        bea.get(f"{QUEUE}/data", params={"session_hash": "anns"}),
        bea.get(f"{QUEUE}/data?session_hash=beas&session_hash=anns"),
        bea.get(f"{QUEUE}/data?session%5Fhash=anns"),
        bea.get("/studio/gradio_api/heartbeat/anns"),
        bea.post("/studio/gradio_api/cancel", json=cancel),
        bea.post("/studio/gradio_api/cancel", json=cancel | {"session_hash": "anns", "event_id": "x"}),
        bea.post("/studio/gradio_api/reset", json={"event_id": event}),
    ):
        assert answer.status_code == 403, answer.url
    twice = b'{"session_hash": "anns", "session_hash": "beas", "data": [], "fn_index": 0}'
    bea.post(f"{QUEUE}/join", content=twice, headers={"Content-Type": "application/json"})
    with ann.stream("GET", f"{QUEUE}/data", params={"session_hash": "anns"}) as stream:
        assert any("process_completed" in line for line in stream.iter_lines())


def files_named(folder):
    """What a client could name as a file, in the shapes that Gradio's inputs take."""
    meta = {"_type": "gradio.FileData"}
    for path in (str(folder / "secret.txt"), "/etc/passwd", "http://127.0.0.1:9/x", "file:///etc/passwd"):
        yield {"path": path, "meta": meta}
        yield {"path": path, "url": path, "meta": meta, "orig_name": "x"}
        yield [{"path": path, "meta": meta}]
        yield {"text": "x", "files": [{"path": path, "meta": meta}]}
        yield [{"role": "user", "content": {"path": path, "meta": meta}}]
        yield {"path": path, "is_stream": True}


@pytest.mark.slow
def test_no_input_takes_a_file_that_a_client_names(page, ann, tmp_path_factory):
    folder = page.home.folder.parent
    dependencies = page.gradio().get_blocks().config["dependencies"]
    ways, named = cycle([f"{QUEUE}/join", "/studio/gradio_api/run/predict"]), cycle(files_named(folder))
    bodies = [
        asked(page, fn_index=each["id"], data=[None] * place + [next(named)])
        for each in dependencies
        for place in range(len(each["inputs"]))
    ]
    bodies += [asked(page, data=[one]) for one in files_named(folder)]
    bodies += [asked(page, event_data=one) for one in files_named(folder)]
    assert len(bodies) > 50
    with page.client() as admin:
        statuses = [admin.post(next(ways), json=body).status_code for body in bodies]
    assert set(statuses) == {403}


def test_gradio_itself_checks_the_files_that_are_named(page):
    """The second wall, were something to pass the first."""
    from gradio import processing_utils
    from gradio.context import LocalContext
    from gradio.exceptions import InvalidPathError

    token = LocalContext.blocks.set(page.gradio().get_blocks())
    try:
        with pytest.raises(InvalidPathError):
            processing_utils._check_allowed("/etc/passwd", check_in_upload_folder=True)
    finally:
        LocalContext.blocks.reset(token)
