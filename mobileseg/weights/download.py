"""Weights from http(s): downloaded once, resumable, checked."""

from __future__ import annotations

import hashlib
import logging
import re
import time
import urllib.error
import urllib.request
from base64 import b64encode
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlparse, urlsplit

from mobileseg.cache import CACHE_VARIABLE, cache_folder
from mobileseg.errors import WeightsError
from mobileseg.files import sha256_of, write_whole
from mobileseg.locks import locked

_BLOCK = 1 << 20
_TIMEOUT = 30.0
_ATTEMPTS = 3
MAX_BYTES = 4 << 30
"""A larger file is not downloaded."""

logger = logging.getLogger(__name__)


def is_url(source: object) -> bool:
    """Whether it is an http or https address."""
    return isinstance(source, str) and source.lower().startswith(("http://", "https://"))


def cached_path(url: str) -> Path:
    """The file that a download of this address is kept in; two addresses never share one."""
    name = re.sub(r"[^\w.-]", "_", unquote(urlparse(url).path).rsplit("/", 1)[-1]) or "weights"
    return cache_folder() / "weights" / hashlib.sha256(url.encode()).hexdigest()[:16] / name


def fetch(url: str, *, sha256: str | None = None) -> Path:
    """The file behind an address, from the cache when it is there.

    A broken transfer is kept as ``<name>.part`` and continued where it stopped. The checksum of the complete file is
    written beside it (``<name>.sha256``, the form of sha256sum) and verified on every later use. An address
    may carry the expected checksum as ``#sha256=<64 hex digits>``.

    Args:
        url: http(s) address.
        sha256: expected checksum, 64 hexadecimal digits.

    Raises:
        WeightsError: offline, refused by the server, cut off, full disk, or another checksum than expected.
    """
    url, _, fragment = url.partition("#")
    request, shown = _addressed(url)
    if fragment.startswith("sha256="):
        sha256 = fragment.removeprefix("sha256=")
    target = cached_path(url)
    record = target.with_name(target.name + ".sha256")
    part = target.with_name(target.name + ".part")
    busy = WeightsError(f"another process is downloading {shown}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(
            target.with_name(f".{target.name}.lock"),
            busy,
            waiting=lambda: logger.warning("waiting for another process that downloads %s", shown),
        ):
            if target.is_file() and record.is_file():
                known = record.read_text().split()[:1]
                actual = sha256_of(target)
                if known == [actual] and sha256 in (None, actual):
                    return target
                if known != [actual]:
                    target.unlink()  # damaged in the cache: fetch it anew
            _transfer(request, shown, part)
            _refuse_page(part, shown)
            actual = sha256_of(part)
            if sha256 is not None and actual != sha256.lower():
                part.unlink()
                raise WeightsError(
                    f"{shown} has the SHA-256 {actual}, expected was {sha256}",
                    remedy="check the address and the checksum; nothing was kept",
                )
            write_whole(record, f"{actual}  {target.name}\n")
            part.replace(target)
    except OSError as error:
        raise WeightsError(
            f"cannot keep {shown} as {target}: {error.strerror or error}",
            remedy=f"free space, or set {CACHE_VARIABLE} to a folder that can be written",
        ) from error
    return target


def _addressed(url: str) -> tuple[urllib.request.Request, str]:
    """The request for an address (percent-encoded, IDNA), and how it is shown: without a password and a query.

    Raises:
        WeightsError: it is no address.
    """
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
        host = (parts.hostname or "").encode("idna").decode("ascii")
    except (ValueError, UnicodeError) as error:
        shown = re.sub(r"//[^/@]*@", "//", url)[:200]
        raise WeightsError(f"{shown} is not an address: {error}", remedy="check how it is written") from error
    if not host or re.search(r"[\x00-\x20\x7f]", url):
        raise WeightsError(f"{url[:200]!r} is not an address", remedy="write http(s)://host/path, without blanks")
    host = f"[{host}]" if ":" in host else host
    path, query = (quote(text, safe="%/:=&?~#+!$,;'@()*[]") for text in (parts.path, parts.query))
    tail = f"{host}{port}{path}{f'?{query}' if query else ''}"
    request = urllib.request.Request(f"{parts.scheme}://{tail}", headers={"User-Agent": "mobileseg"})  # noqa: S310
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_unredirected_header("Authorization", f"Basic {b64encode(user.encode()).decode()}")
    return request, f"{parts.scheme}://{tail.partition('?')[0]}"


def _refuse_page(part: Path, shown: str) -> None:
    """A server that wants a login answers with a page; it must not be kept as weights."""
    with part.open("rb") as file:
        begin = file.read(512).lstrip().lower()
    if begin.startswith((b"<!doctype", b"<html", b"<?xml")):
        part.unlink()
        raise WeightsError(
            f"{shown} is a web page, not a file of weights",
            remedy="perhaps it needs a login: fetch the file with a browser and give its path",
        )


def _transfer(request: urllib.request.Request, url: str, part: Path) -> None:
    for attempt in range(_ATTEMPTS):
        before = part.stat().st_size if part.exists() else 0
        try:
            if _continue(request, url, part):
                return
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt + 1 == _ATTEMPTS:
                raise WeightsError(
                    f"{url}: the server answered {error.code} {error.reason}",
                    remedy="check the address; a file fetched by other means can be given by its path",
                ) from error
        except urllib.error.URLError as error:
            raise WeightsError(
                f"{url} cannot be reached: {_reason(error)}",
                remedy="this machine seems to be offline or the address is wrong; fetch the file elsewhere and "
                "give its path instead of the URL",
            ) from error
        except (TimeoutError, HTTPException, ConnectionError):
            pass  # cut off in the middle: what came is in the part file
        if attempt + 1 < _ATTEMPTS and part.exists() and part.stat().st_size == before:
            time.sleep(0.5 * (attempt + 1))
    received = part.stat().st_size if part.exists() else 0
    raise WeightsError(
        f"{url}: the connection broke off {_ATTEMPTS} times, {received} bytes have arrived",
        remedy="run the same command again; the download goes on where it stopped",
    )


def _continue(request: urllib.request.Request, url: str, part: Path) -> bool:
    """One connection; True when the file is complete."""
    offset = part.stat().st_size if part.exists() else 0
    validator = part.with_name(part.name + ".etag")
    if offset and validator.exists():
        request.add_header("Range", f"bytes={offset}-")
        request.add_header("If-Range", validator.read_text())
    else:
        offset = 0
        request.headers.pop("Range", None)
        request.headers.pop("If-range", None)
    try:
        reply = _OPENER.open(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and offset:  # the part does not fit the file of the server any more
            part.unlink()
            return False
        raise
    with reply:
        if reply.status != 206:
            offset = 0
        length = reply.headers.get("Content-Length")
        expected = offset + int(length) if length is not None and length.isdigit() else None
        if expected is not None and expected > MAX_BYTES:
            raise _too_large(url)
        mark = reply.headers.get("ETag") or reply.headers.get("Last-Modified")
        if mark and not mark.startswith("W/"):
            validator.write_text(mark)
        else:
            validator.unlink(missing_ok=True)
        with part.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            while block := reply.read(_BLOCK):
                if file.tell() + len(block) > MAX_BYTES:
                    raise _too_large(url)
                file.write(block)
    if expected is not None and part.stat().st_size != expected:
        return False
    validator.unlink(missing_ok=True)
    return True


def _too_large(url: str) -> WeightsError:
    return WeightsError(
        f"{url} is larger than {MAX_BYTES >> 30} GiB: refused", remedy="check the address; no weights are that large"
    )


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https alone; urllib would follow one to ftp as well."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not is_url(newurl):
            raise WeightsError(
                f"the server redirects to {urlsplit(newurl).scheme or 'something else'}:, neither http nor https",
                remedy="fetch the file by other means and give its path",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_WebOnly)


def _reason(error: urllib.error.URLError) -> str:
    return str(error.reason) or type(error.reason).__name__
