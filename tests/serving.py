"""A small server on this machine that speaks OpenAI's protocol."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server:
    """Answers with what `reply` makes of a request: (status, words or body, headers)."""

    def __init__(self, reply: Callable[[dict], Any]):
        self.requests = []
        self.reply = reply
        self.schemas = True
        self.busy = self.most_busy = 0
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    outer.requests.append((self.path, body, dict(self.headers)))
                    outer.busy += 1
                    outer.most_busy = max(outer.busy, outer.most_busy)
                try:
                    status, content, headers = outer.answer(body)
                finally:
                    with outer.lock:
                        outer.busy -= 1
                if isinstance(content, str):
                    content = {"choices": [{"message": {"role": "assistant", "content": content}}]}
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, body):
        if "response_format" in body and not self.schemas:
            return 400, {"error": {"message": "response_format is not supported"}}, {}
        found = self.reply(body)
        return found if isinstance(found, tuple) else (200, found, {})

    def texts(self):
        return [body["messages"][-1]["content"] for _, body, _ in self.requests]
