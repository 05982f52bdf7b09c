"""Addresses and answers that are not what they should be: one message, no password in it, nothing kept."""

import http.server
import threading

import pytest

from mobileseg.cache import cache_folder
from mobileseg.errors import WeightsError
from mobileseg.weights import download
from mobileseg.weights.download import fetch

pytestmark = pytest.mark.both


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("Authorization")))
        status, headers, body = self.server.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("MOBILESEG_CACHE", str(tmp_path / "cache"))
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.seen, running.answer = [], (200, {}, b"\x80content")
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def address(server, path, user=""):
    return f"http://{user}127.0.0.1:{server.server_port}/{path}"


def kept():
    return [path for path in cache_folder().rglob("*") if path.is_file() and not path.name.endswith(".lock")]


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://", "http://host:port/x", "http://a b/c", "http://host/\0", "https://" + "é" * 70]
)
def test_what_is_no_address(url, tmp_path, monkeypatch):
    monkeypatch.setenv("MOBILESEG_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match="is not an address"):
        fetch(url)


def test_letters_beyond_ascii_and_blanks_encoded(server):
    assert fetch(address(server, "gewichte/ä.pdparams")).read_bytes() == b"\x80content"
    assert fetch(address(server, "a%20b.pdparams")).read_bytes() == b"\x80content"
    assert [path for path, _ in server.seen] == ["/gewichte/%C3%A4.pdparams", "/a%20b.pdparams"]


def test_a_password_is_sent_but_never_shown(server):
    server.answer = (403, {}, b"")
    with pytest.raises(WeightsError) as caught:
        fetch(address(server, "x?token=abc", "me:secret@"))
    assert "403" in str(caught.value)
    assert not any(word in str(caught.value) for word in ("secret", "abc"))
    assert server.seen[0][1] == "Basic bWU6c2VjcmV0"


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>login", b"\n <html lang=en>", b"<?xml version='1.0'?>"])
def test_a_page_is_not_kept_as_weights(server, page):
    server.answer = (200, {"Content-Type": "application/octet-stream"}, page)
    with pytest.raises(WeightsError, match="a web page") as caught:
        fetch(address(server, "w.pdparams"))
    assert "login" in caught.value.remedy
    assert kept() == []


@pytest.mark.parametrize("where", ["ftp://host/w", "file:///etc/passwd"])
def test_redirects_lead_to_web_servers_alone(server, where):
    server.answer = (302, {"Location": where}, b"")
    with pytest.raises(WeightsError):
        fetch(address(server, "w.pdparams"))
    assert kept() == []


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_beyond_the_limit_is_refused(server, monkeypatch, announced):
    monkeypatch.setattr(download, "MAX_BYTES", 1 << 20)
    body = b"\x80" * (3 << 20)
    server.answer = (200, {"Content-Length": str(len(body))} if announced else {}, body)
    with pytest.raises(WeightsError, match="is larger than"):
        fetch(address(server, "w.pdparams"))
    assert all(path.stat().st_size <= 1 << 20 for path in kept())
