"""A hub on loopback that speaks as much of Hugging Face's API as is needed to list and download files."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34


class _Handler(BaseHTTPRequestHandler):
    repositories: Mapping[str, Mapping[str, bytes]]
    asked: list[str]

    def do_GET(self) -> None:
        """Answer, with the body."""
        self._answer()

    def do_HEAD(self) -> None:
        """Answer, without."""
        self._answer()

    def log_message(self, *_: object) -> None:
        """Not on the terminal."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.asked.append(f"{self.command} {path}")
        for name, files in self.repositories.items():
            if path.startswith(f"/api/{name}"):
                return self._api(path.removeprefix(f"/api/{name}"), name, files)
            place = name.removeprefix("models/")
            if path.startswith(f"/{place}/resolve/"):
                return self._file(files.get(path.split("/resolve/", 1)[1].partition("/")[2]))
        return self._send(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})

    def _api(self, rest: str, name: str, files: Mapping[str, bytes]) -> None:
        if "/tree/" in rest:
            listed = [
                {"type": "file", "oid": hashlib.sha1(body).hexdigest(), "size": len(body), "path": path}  # noqa: S324
                for path, body in files.items()
            ]
            return self._send(200, json.dumps(listed).encode(), {"Content-Type": "application/json"})
        about = {
            "id": name.partition("/")[2], "sha": COMMIT, "private": False, "disabled": False, "gated": False,
            "downloads": 0, "likes": 0, "tags": [], "siblings": [{"rfilename": path} for path in files],
        }  # fmt: skip
        return self._send(200, json.dumps(about).encode(), {"Content-Type": "application/json"})

    def _file(self, body: bytes | None) -> None:
        if body is None:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
        headers = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Repo-Commit": COMMIT}
        return self._send(200, body, headers)

    def _send(self, code: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


class _Plain(BaseHTTPRequestHandler):
    content: Mapping[str, bytes]

    def do_GET(self) -> None:
        """A file's bytes."""
        body = self.content.get(urlsplit(self.path).path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body or b"")

    def do_HEAD(self) -> None:
        """Its length."""
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Not on the terminal."""


@contextmanager
def hub(repositories: Mapping[str, Mapping[str, bytes]]) -> Iterator[tuple[str, list[str]]]:
    """Serve "datasets/OWNER/NAME" and "models/OWNER/NAME".  Gives the endpoint and what was asked."""
    asked: list[str] = []
    with _serving(type("Hub", (_Handler,), {"repositories": repositories, "asked": asked})) as url:
        yield url, asked


@contextmanager
def plain(content: Mapping[str, bytes]) -> Iterator[str]:
    """Serve files by their path.  Gives the base URL."""
    with _serving(type("Plain", (_Plain,), {"content": content})) as url:
        yield url


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
