"""Downloads against a server of our own: once, resumed, checked, and honest about what failed."""

import hashlib
import http.server
import threading
from pathlib import Path

import numpy as np
import pytest

from mobileseg.errors import WeightsError
from mobileseg.weights import download
from mobileseg.weights.download import cached_path, fetch, is_url
from mobileseg.weights.read import read_weights

pytestmark = pytest.mark.both

CONTENT = np.random.RandomState(0).bytes(3_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT; ``cuts`` are the numbers of bytes after which the next connections break off."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.etag, self.ranges = CONTENT, '"one"', True
        self.cuts, self.status, self.requests = [], [], []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.requests.append(wanted)
        if server.status:
            self.send_error(server.status.pop(0))
            return
        start = 0
        fresh = self.headers.get("If-Range") == server.etag
        if wanted and server.ranges and fresh:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        if server.cuts:
            self.wfile.write(body[: server.cuts.pop(0)])
            self.wfile.flush()
            self.connection.close()
        else:
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("MOBILESEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        served.url = f"http://127.0.0.1:{served.server_port}/models/net.pdparams"
        yield served
        served.shutdown()
        thread.join()


def test_what_counts_as_an_address():
    assert is_url("https://example.com/a.npz")
    assert is_url("http://example.com/a.npz")
    for other in ("a.npz", "/x/http/a.npz", "file:///etc/passwd", "ftp://example.com/a", Path("a")):
        assert not is_url(other)


def test_downloaded_once_and_kept_with_its_checksum(server):
    path = fetch(server.url)
    assert path.read_bytes() == CONTENT
    assert path == cached_path(server.url)
    assert path.name == "net.pdparams"
    assert path.with_name("net.pdparams.sha256").read_text() == f"{DIGEST}  net.pdparams\n"
    assert fetch(server.url) == path
    assert len(server.requests) == 1
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["net.pdparams", "net.pdparams.sha256"]


def test_two_addresses_with_one_file_name_are_two_files():
    assert cached_path("https://a.example/model.pdparams") != cached_path("https://b.example/model.pdparams")
    assert "/" not in cached_path("https://a.example/x/..%2F..%2Fevil").name


def test_a_broken_transfer_goes_on_where_it_stopped(server):
    server.cuts = [1_200_000, 700_000]
    assert fetch(server.url).read_bytes() == CONTENT
    starts = [int(r.removeprefix("bytes=").rstrip("-")) if r else 0 for r in server.requests]
    assert starts == [0, 1_200_000, 1_900_000]


def test_what_arrived_survives_for_the_next_call(server):
    server.cuts = [500_000] * 3
    with pytest.raises(WeightsError, match=r"broke off.*1500000 bytes") as caught:
        fetch(server.url)
    assert "goes on" in caught.value.remedy
    assert not cached_path(server.url).exists()
    server.requests.clear()
    assert fetch(server.url).read_bytes() == CONTENT
    assert server.requests == ["bytes=1500000-"]


def test_a_file_that_changed_meanwhile_is_not_mixed(server):
    server.cuts = [500_000] * 3
    with pytest.raises(WeightsError):
        fetch(server.url)
    server.content, server.etag = bytes(reversed(CONTENT)), '"two"'
    assert fetch(server.url).read_bytes() == server.content


@pytest.mark.parametrize("etag", ['"one"', None])
def test_a_server_that_cannot_resume(server, etag):
    server.ranges, server.etag, server.cuts = False, etag, [1_000_000]
    assert fetch(server.url).read_bytes() == CONTENT


def test_a_refusal_names_the_status(server):
    server.status = [404]
    with pytest.raises(WeightsError, match="404"):
        fetch(server.url)
    assert len(server.requests) == 1


def test_a_server_in_trouble_is_asked_again(server):
    server.status = [503]
    assert fetch(server.url).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_a_wrong_checksum_keeps_nothing(server):
    with pytest.raises(WeightsError, match="expected was"):
        fetch(server.url, sha256="0" * 64)
    assert not any(cached_path(server.url).parent.glob("net.pdparams*"))
    assert fetch(f"{server.url}#sha256={DIGEST}").read_bytes() == CONTENT
    with pytest.raises(WeightsError, match="expected was"):
        fetch(f"{server.url}#sha256={'1' * 64}")
    assert fetch(server.url).read_bytes() == CONTENT


def test_a_damaged_cache_is_fetched_anew(server):
    path = fetch(server.url)
    path.write_bytes(CONTENT[:-1] + b"x")
    assert fetch(server.url).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_offline_says_so(server):
    url = server.url.replace(str(server.server_port), "9")
    with pytest.raises(WeightsError, match="cannot be reached") as caught:
        fetch(url)
    assert "offline" in caught.value.remedy


def test_a_cache_that_cannot_be_written(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MOBILESEG_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match="cannot keep") as caught:
        fetch(server.url)
    assert "MOBILESEG_CACHE" in caught.value.remedy


def test_weights_by_address(server, tmp_path):
    np.savez(tmp_path / "a.npz", w=np.arange(3.0))
    server.content = (tmp_path / "a.npz").read_bytes()
    np.testing.assert_array_equal(read_weights(server.url)["w"], [0, 1, 2])
