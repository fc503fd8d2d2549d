"""A web server on this machine that serves files well or badly, and notes what it was asked for."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """One file and how it is served."""

    body: bytes
    breaks: list[int] = field(default_factory=list)
    """After so many bytes of each answer the connection drops; an answer beyond the list is whole."""
    failures: list[int] = field(default_factory=list)
    """Status of the first answers."""
    ranges: bool = True
    kind: str = "application/octet-stream"
    says_length: bool = True


@dataclass
class FileServer:
    base: str
    files: dict[str, Served]
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and Range of each request."""


@contextmanager
def serving(files: dict[str, Served]) -> Iterator[FileServer]:
    """Serve files by their path, such as `/vas/dog.tar`."""
    state = FileServer("", files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            state.asked.append((self.path, wanted))
            served = files.get(self.path)
            if served is None or served.failures:
                self.send_error(served.failures.pop(0) if served else 404)
                return
            first = int(re.findall(r"\d+", wanted)[0]) if wanted and served.ranges else 0
            if first and first >= len(served.body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(served.body)}")
                self.end_headers()
                return
            body = served.body[first:]
            self.send_response(206 if first else 200)
            self.send_header("Content-Type", served.kind)
            if served.says_length:
                self.send_header("Content-Length", str(len(body)))
            if first:
                last = len(served.body) - 1
                self.send_header("Content-Range", f"bytes {first}-{last}/{last + 1}")
            self.end_headers()
            self.wfile.write(body[: served.breaks.pop(0)] if served.breaks else body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
