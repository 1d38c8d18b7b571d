"""An OpenAI-compatible server that answers from a script, word by word."""

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = str | Exception


class ScriptedServer:
    """Answers each request with the next of `answers` ("ok" when they run out).

    A `ConnectionError` among them breaks the connection off after one word; a `ValueError` is refused with
    its text. While `gate` is cleared, an answer stops after its first word; `pace` seconds go by after each.
    With a `context`, it counts words as tokens before they are answered; `usage` is what it says afterwards;
    `models` are its names for them.
    """

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.context = 0
        self.usage = 0
        self.pace = 0.0
        self.models = ["base"]
        self.gate = threading.Event()
        self.gate.set()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self.gate.set()
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path.endswith("/tokenize"):
                    words = sum(len(turn["content"].split()) for turn in body["messages"])
                    told = {"count": words, "max_model_len": server.context} if server.context else {}
                    self._json(200 if told else 404, told)
                    return
                server.requests.append(body)
                server.keys.append(self.headers["Authorization"])
                if not body.get("stream"):
                    self._whole(body.get("n", 1))
                    return
                answer = server.answers.pop(0) if server.answers else "ok"
                if isinstance(answer, ValueError):
                    self._json(400, {"error": {"message": str(answer)}})
                    return
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    server._stream(answer, self._chunk)
                except OSError:
                    self.close_connection = True

            def do_GET(self) -> None:
                self._json(200, {"data": [{"id": name} for name in server.models]})

            def _json(self, status: int, data: dict[str, Any]) -> None:
                raw = json.dumps(data).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def _whole(self, count: int) -> None:
                answers = [server.answers.pop(0) if server.answers else "ok" for _ in range(count)]
                server.gate.wait()
                choices = [
                    {"index": at, "message": {"content": answer}, "finish_reason": "stop"}
                    for at, answer in enumerate(answers)
                ]
                failed = next((answer for answer in answers if isinstance(answer, Exception)), None)
                if isinstance(failed, ConnectionError):
                    self.close_connection = True
                    return
                body = {"error": {"message": str(failed)}} if failed else {"choices": choices}
                raw = json.dumps(body).encode()
                self.send_response(400 if failed else 200)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def _chunk(self, data: str) -> None:
                raw = data.encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
                self.wfile.flush()

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _stream(self, answer: Answer, chunk: Callable[[str], None]) -> None:
        words = ["Half"] if isinstance(answer, Exception) else answer.split(" ")
        for number, word in enumerate(words):
            delta = {"content": word if number == 0 else f" {word}"}
            chunk(_event({"index": 0, "delta": delta, "finish_reason": None}))
            self.gate.wait()
            time.sleep(self.pace)
        if isinstance(answer, Exception):
            raise OSError("scripted")
        chunk(_event({"index": 0, "delta": {}, "finish_reason": "stop"}))
        if self.usage:
            chunk("data: " + json.dumps({"choices": [], "usage": {"total_tokens": self.usage}}) + "\n\n")
        chunk("data: [DONE]\n\n")
        chunk("")


def _event(choice: dict[str, Any]) -> str:
    return "data: " + json.dumps({"choices": [choice]}) + "\n\n"
