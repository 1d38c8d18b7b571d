"""What Gradio would let a client do: name files, and take part in other people's sessions."""

from itertools import cycle

import gate
import pytest

from tuner_app.store.members import ROLES

QUEUE = "/studio/gradio_api/queue"


@pytest.fixture
def bea(gated):
    with gated.client("bea") as client:
        yield client


def asked(gated, **more):
    """The body of an event of the studio's first listener."""
    dependency = gated.gradio().get_blocks().config["dependencies"][0]
    body = {"data": [None] * len(dependency["inputs"]), "fn_index": dependency["id"], "session_hash": "s"}
    return body | more


def test_a_session_and_an_event_are_whose_they_were_first(gated, ann, bea):
    joined = ann.post(f"{QUEUE}/join", json=asked(gated, session_hash="anns"))
    assert joined.is_success
    event = joined.json()["event_id"]
    cancel = {"session_hash": "beas", "fn_index": 0, "event_id": event}
    for answer in (
        bea.post(f"{QUEUE}/join", json=asked(gated, session_hash="anns")),
        bea.post("/studio/gradio_api/run/predict", json=asked(gated, session_hash="anns")),
        bea.post("/studio/gradio_api/run/predict", json=asked(gated, event_id=event)),
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


def rows_of(gated):
    """How many rows each table has; of the audit too, for what an admin does is noted there."""
    tables = [row["name"] for row in gated.store.query("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return {name: tuple(gated.store.query(f"SELECT count(*) FROM {name}")[0]) for name in tables}


@pytest.mark.parametrize("name", ["ann", "rex"])
def test_what_is_for_others_does_nothing_when_it_is_asked_for_by_number(gated, name):
    """By every way in that the table leaves, with what its inputs show at first."""
    blocks = gated.gradio().get_blocks()
    role = gate.ROLES[name]
    others = [
        fn for fn in blocks.fns.values() if ROLES.index(getattr(fn.fn, "role", role)) > ROLES.index(role)
    ]
    assert len(others) > (20 if name == "ann" else 10)
    with gated.client(name) as client:
        before = rows_of(gated)
        for fn in others:
            data = [getattr(block, "value", None) for block in fn.inputs]
            body = asked(gated, data=data, fn_index=fn._id, session_hash=f"of-{name}")
            answers = [client.post("/studio/gradio_api/run/predict", json=body)]
            if fn.queue:
                assert client.post(f"{QUEUE}/join", json=body).is_success
                events = client.get(f"{QUEUE}/data", params={"session_hash": f"of-{name}"}, timeout=30)
                assert '"success":false' in events.text, fn.fn
            for answer in answers:
                assert not answer.is_success, fn.fn
        assert rows_of(gated) == before


def test_no_component_of_the_studio_takes_files(gated):
    blocks = gated.gradio().get_blocks()
    taken = {type(block).__name__.lower() for fn in blocks.fns.values() for block in fn.inputs}
    assert taken <= {"textbox", "dropdown", "checkbox", "radio", "number", "state", "slider", "tab"}, taken


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
def test_no_input_takes_a_file_that_a_client_names(gated, ann, tmp_path_factory):
    folder = gated.home.folder.parent
    dependencies = gated.gradio().get_blocks().config["dependencies"]
    ways, named = cycle([f"{QUEUE}/join", "/studio/gradio_api/run/predict"]), cycle(files_named(folder))
    bodies = [
        asked(gated, fn_index=each["id"], data=[None] * place + [next(named)])
        for each in dependencies
        for place in range(len(each["inputs"]))
    ]
    bodies += [asked(gated, data=[one]) for one in files_named(folder)]
    bodies += [asked(gated, event_data=one) for one in files_named(folder)]
    assert len(bodies) > 50
    with gated.client() as admin:
        statuses = [admin.post(next(ways), json=body).status_code for body in bodies]
    assert set(statuses) == {403}


def test_gradio_itself_checks_the_files_that_are_named(gated):
    """The second wall, were something to pass the first."""
    from gradio import processing_utils
    from gradio.context import LocalContext
    from gradio.exceptions import InvalidPathError

    token = LocalContext.blocks.set(gated.gradio().get_blocks())
    try:
        with pytest.raises(InvalidPathError):
            processing_utils._check_allowed("/etc/passwd", check_in_upload_folder=True)
    finally:
        LocalContext.blocks.reset(token)


NONSENSE = (None, 0, -1.5, True, "x", "x" * 20_001, [], ["x", [1]], {}, {"x": 1})


@pytest.mark.parametrize("name", ["ann", "me"])
def test_nonsense_for_any_listener_is_a_line_of_the_log_and_no_traceback(gated, capfd, name):
    blocks, nonsense = gated.gradio().get_blocks(), cycle(NONSENSE)
    with gated.client(name) as client:
        for fn in list(blocks.fns.values()):
            for value in (next(nonsense) for _ in range(3)):
                body = asked(gated, data=[value] * len(fn.inputs), fn_index=fn._id, session_hash=f"by-{name}")
                if fn.queue:
                    assert client.post(f"{QUEUE}/join", json=body).is_success
                    continue
                answer = client.post("/studio/gradio_api/run/predict", json=body)
                assert answer.is_success or answer.json().get("title") == "This did not work", (
                    fn.fn,
                    value,
                    answer.text,
                )
        with client.stream(
            "GET", f"{QUEUE}/data", params={"session_hash": f"by-{name}"}, timeout=60
        ) as events:
            assert any("close_stream" in line for line in events.iter_lines())  # all of them are done
    printed = "".join(capfd.readouterr())
    assert "Traceback" not in printed
    assert "The studio was sent what it cannot take: " in printed
