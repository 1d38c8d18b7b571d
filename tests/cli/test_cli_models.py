"""Models from the command line: what a base is, and what is done with an adapter."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import tiny

from engine import adapters, models
from engine.errors import UserError
from engine.spec import Adapter, Spec
from tuner_app import fit, library, settings, weights
from tuner_app.paths import Home
from tuner_app.store import Store
from tuner_app.store import models as rows
from tuner_app.store.run_rows import AdapterRow


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def store(home: Home) -> Store:
    home.create()
    return Store.open(home.database, migrate=True)


@pytest.fixture
def adapter(home: Home, store: Store, tmp_path: Path) -> AdapterRow:
    folder = tiny.save_model(tmp_path / "small")
    loaded = models.load(str(folder), "fp32")
    adapters.add(loaded, Adapter(rank=4), 0)
    adapters.save(loaded, Spec("sft", str(folder)), "", home.adapter("sft-1"))
    (home.run("sft-1") / "checkpoints").mkdir()
    base = rows.add_base(store, "small", str(folder), loaded.fingerprint)
    return rows.add_adapter(store, name="sft-1", base_id=base.id, folder="runs/sft-1/adapter", hash="h")


def test_a_merge_is_done_in_a_process_of_its_own(
    home: Home, store: Store, adapter: AdapterRow, tmp_path: Path
) -> None:
    bytes = library.merge(home, store, adapter, tmp_path / "merged").answer()
    assert bytes == sum(file.stat().st_size for file in (tmp_path / "merged").iterdir())
    assert (
        weights.read(str(tmp_path / "merged")).parameters == weights.read(str(tmp_path / "small")).parameters
    )
    with pytest.raises(UserError, match="exists already"):
        library.merge(home, store, adapter, tmp_path / "merged")
    with pytest.raises(UserError, match="There is no folder"):
        library.merge(home, store, adapter, tmp_path / "no" / "merged")


def test_deleting_frees_the_disk_and_never_what_answers(
    home: Home, store: Store, adapter: AdapterRow
) -> None:
    settings.save(home, settings.Settings(adapter="sft-1"))
    with pytest.raises(UserError, match="answers in the chat"):
        library.delete(home, store, adapter)
    assert home.adapter("sft-1").exists()
    settings.save(home, settings.Settings())
    assert "sft-1 is deleted" in library.delete(home, store, adapter)
    assert not home.adapter("sft-1").exists()
    assert not (home.run("sft-1") / "checkpoints").exists()
    base = library.named(store, "small")
    assert "is yours, and stays" in library.delete(home, store, base)
    assert Path(base.source).exists()  # type: ignore[union-attr]
    with pytest.raises(UserError, match="no model called"):
        library.named(store, "small")


def test_a_base_is_known_by_the_headers_of_its_files(tmp_path: Path) -> None:
    folder = tiny.save_model(tmp_path / "small")
    counted = models.load(str(folder), "fp32").parameters
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Small")
    found = weights.read(str(folder))
    assert (found.parameters, found.licence, found.dtype) == (counted, "mit", "F32")
    assert 0 < found.linear < found.parameters
    (folder / "model.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(UserError, match="cut off or no safetensors file"):
        weights.read(str(folder))


def test_four_bits_take_less_than_chat_and_full_fine_tuning_most() -> None:
    for kind in ("cpu", "gpu"):
        for billions, base in fit.common().items():
            needs = fit.needs(base, kind)
            assert needs["full"] > needs["chat"]
            assert needs["full"] > 16e9 * billions
            assert needs["qlora"] < needs["full"] / 3


def test_a_model_of_the_hub_is_asked_about_and_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.save_model(tmp_path / "small")
    asked: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path.startswith("/api/models/some/model"):
                files = [{"rfilename": f.name, "size": f.stat().st_size} for f in folder.iterdir()]
                body = json.dumps(
                    {"id": "some/model", "siblings": files, "cardData": {"license": "mit"}, "sha": "a" * 40}
                )
                self._send(200, body.encode(), {"Content-Type": "application/json"})
                return
            file = folder / self.path.rpartition("/")[2]
            if not file.is_file():
                self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
                return
            whole = file.read_bytes()
            part = self.headers.get("Range")
            if part:
                first, last = part.removeprefix("bytes=").split("-")
                whole = whole[int(first) : int(last or len(whole)) + 1]
            self._send(206 if part else 200, whole, {"ETag": '"e"', "X-Repo-Commit": "a" * 40})

        do_HEAD = do_GET  # noqa: N815

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = "from tuner_app import weights; w = weights.read('some/model'); print(w.parameters, w.licence)"
    environment = os.environ | {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": "0",
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    server.shutdown()
    assert done.stdout.split() == [str(weights.read(str(folder)).parameters), "mit"], done.stderr
    assert not [*(tmp_path / "hub").rglob("*.safetensors")]
