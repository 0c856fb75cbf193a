"""Downloads come from where they may, whole, in time, and with credentials for nobody else."""

from __future__ import annotations

import base64
import gzip
import hashlib
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from apps.packs.errors import FetchFailed, SourceInvalid
from apps.packs.sources import addresses, downloads
from apps.packs.sources.downloads import Downloaded
from tests.packs.sources.conftest import LOOPBACK, Web, soon

pytestmark = pytest.mark.embedded_only

BODY = b"some bytes \0\xff" * 1000


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def download(tmp_path: Path) -> Callable[..., Downloaded]:
    """Download to `tmp_path/file`; what fails leaves nothing there. `download.lines` is what was said."""
    lines: list[str] = []

    def do(url: str, **more: Any) -> Downloaded:
        before = list(tmp_path.iterdir())
        given = {"deadline": soon(), "trusted_hosts": LOOPBACK, "say": lines.append} | more
        try:
            return downloads.download(url, tmp_path / "file", **given)
        except (FetchFailed, SourceInvalid):
            assert list(tmp_path.iterdir()) == before
            raise

    do.lines = lines  # type: ignore[attr-defined]
    return do


def moved(to: str, status: int = 302) -> tuple[int, dict[str, str], bytes]:
    return status, {"Location": to}, b"moved"


def test_a_file_comes_whole_with_its_checksum(download: Any, web: Web, tmp_path: Path) -> None:
    web.routes["/x.zip"] = (200, {"ETag": '"1"'}, BODY)
    came = download(f"{web.url}/x.zip")
    assert (tmp_path / "file").read_bytes() == BODY
    digest = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
    assert came == Downloaded(digest, f"{web.url}/x.zip", len(BODY), '"1"', True)
    assert download.lines == [f"Downloading {web.url}/x.zip (13,000 bytes)", "Downloaded 13,000 bytes"]


def test_bytes_are_kept_as_they_are_even_if_they_are_said_to_be_compressed(
    download: Any, web: Web, tmp_path: Path
) -> None:
    web.routes["/x"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(BODY))
    download(f"{web.url}/x")
    assert gzip.decompress((tmp_path / "file").read_bytes()) == BODY
    assert web.asked[0][1]["Accept-Encoding"] == "identity"


def test_chunked_answers_are_read(download: Any, web: Web, tmp_path: Path) -> None:
    def chunked(request: BaseHTTPRequestHandler) -> None:
        request.protocol_version = "HTTP/1.1"
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")

    web.routes["/x"] = chunked
    assert download(f"{web.url}/x").size == 11
    assert (tmp_path / "file").read_bytes() == b"hello world"


def test_redirects_are_followed_and_told(download: Any, web: Web) -> None:
    web.routes |= {"/a": moved("/b?sig=secret", 301), "/b?sig=secret": moved("c", 307), "/c": (200, {}, BODY)}
    assert download(f"{web.url}/a").final_url == f"{web.url}/c"
    assert download.lines[:2] == [f"Redirected to {web.url}/b?…", f"Redirected to {web.url}/c"]


def test_redirects_without_end_are_not(download: Any, web: Web) -> None:
    web.routes["/a"] = moved("/a")
    with pytest.raises(FetchFailed, match="redirects more than 5 times"):
        download(f"{web.url}/a")
    assert len(web.asked) == 6


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.2:{port}/secret",
        "http://localhost:{port}/secret",
        "http://[::ffff:127.0.0.2]:{port}/secret",
        "http://0x7f.2:{port}/secret",
        "http://2130706434:{port}/secret",
        "http://0177.0.0.2:{port}/secret",
        "http://127.2:{port}/secret",
        "//127.0.0.2:{port}/secret",
        "http://user:pw@127.0.0.2:{port}/secret",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
        "http://[fd00:ec2::254]/",
        "http://0.0.0.0:{port}/secret",
        "http://10.0.0.1/",
        "http://[::]:{port}/",
    ],
)
def test_a_redirect_to_a_private_address_is_not_followed(download: Any, web: Web, elsewhere: Web, target: str) -> None:
    elsewhere.routes["/secret"] = (200, {}, b"never to be seen")
    web.routes["/a"] = moved(target.format(port=elsewhere.port))
    with pytest.raises((SourceInvalid, FetchFailed)):
        download(f"{web.url}/a")
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x", "", "http://", "http://[", "data:,x"]
)
def test_a_redirect_to_anything_but_the_web_is_not_followed(download: Any, web: Web, target: str) -> None:
    web.routes["/a"] = moved(target)
    with pytest.raises((SourceInvalid, FetchFailed)):
        download(f"{web.url}/a")


def test_a_host_nobody_trusts_is_not_asked(download: Any, web: Web) -> None:
    with pytest.raises(SourceInvalid, match=r"127\.0\.0\.1, which is not an address of the public network"):
        download(f"{web.url}/x", trusted_hosts=frozenset())
    with pytest.raises(SourceInvalid):
        download(f"{web.url}/x", trusted_hosts=frozenset({f"127.0.0.1:{web.port + 1}", "example.com"}))
    assert web.asked == []
    web.routes["/x"] = (200, {}, BODY)
    assert download(f"{web.url}/x", trusted_hosts=frozenset({f"127.0.0.1:{web.port}"})).size == len(BODY)


def test_trust_is_lost_on_the_way_through_a_host_nobody_trusts(
    download: Any, web: Web, elsewhere: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger cannot send us to a host that only its own users may name."""
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.2")
    elsewhere.routes["/a"] = moved(f"{web.url}/internal")
    web.routes["/internal"] = (200, {}, BODY)
    with pytest.raises(SourceInvalid):
        download(f"{elsewhere.url}/a")
    assert web.asked == []


def test_a_name_that_changes_its_mind_is_held_to_the_address_that_was_checked(
    download: Any, elsewhere: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Public when it is looked at, another a moment later: the connection goes where the look went."""
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.2")
    elsewhere.routes["/x"] = (200, {}, BODY)
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.1"]

    url = f"http://rebinding.example:{elsewhere.port}/x"
    assert download(url, resolve=rebinding).size == len(BODY)
    assert asked == ["rebinding.example"]
    with pytest.raises(SourceInvalid, match=r"rebinding\.example is at 127\.0\.0\.1"):
        download(url, resolve=rebinding)
    assert len(elsewhere.asked) == 1


def test_a_name_with_one_private_address_among_others_is_refused(download: Any, web: Web) -> None:
    with pytest.raises(SourceInvalid):
        download(f"http://both.example:{web.port}/x", resolve=lambda host, port: ["198.51.100.7", "127.0.0.1"])


def test_a_trusted_name_is_connected_to_at_the_address_it_has(download: Any, web: Web) -> None:
    web.routes["/x"] = (200, {}, BODY)
    url = f"http://Packs.Intranet:{web.port}/x"
    came = download(url, trusted_hosts=frozenset({"packs.intranet"}), resolve=lambda host, port: ["127.0.0.1"])
    assert came.size == len(BODY)
    assert web.asked[0][1]["Host"].lower() == f"packs.intranet:{web.port}"


def test_credentials_go_to_the_host_they_are_for_and_to_no_other(download: Any, web: Web, elsewhere: Web) -> None:
    web.routes |= {"/a": moved("/b"), "/b": moved(f"{elsewhere.url}/c")}
    elsewhere.routes["/c"] = moved(f"{web.url}/d")
    web.routes["/d"] = (200, {}, BODY)
    url = f"http://user:s%C3%A9cret@127.0.0.1:{web.port}/a"
    came = download(url, headers={"X-Token": "t0ken"}, trusted_hosts=frozenset({"127.0.0.1", "127.0.0.2"}))
    expected = "Basic " + base64.b64encode("user:sécret".encode()).decode()
    assert [(path, headers.get("Authorization"), headers.get("X-Token")) for path, headers in web.asked] == [
        ("/a", expected, "t0ken"),
        ("/b", expected, "t0ken"),
        ("/d", expected, "t0ken"),
    ]
    assert not {"Authorization", "X-Token"} & elsewhere.asked[0][1].keys()
    told = "".join([came.final_url, *download.lines])
    assert "cret" not in told and "t0ken" not in told


def test_credentials_are_in_no_error(download: Any, web: Web) -> None:
    for status in (401, 403, 404, 410, 429, 500, 204, 206, 305):
        web.routes["/x?sig=s3cret"] = (status, {}, b"")
        with pytest.raises(FetchFailed, match=f"answered {status}") as failed:
            download(f"http://user:s3cret@127.0.0.1:{web.port}/x?sig=s3cret")
        assert "s3cret" not in str(failed.value)
    with pytest.raises((FetchFailed, SourceInvalid)) as refused:
        download("http://user:s3cret@nowhere.invalid/x?sig=s3cret")
    assert "s3cret" not in str(refused.value)


def test_what_is_too_large_is_stopped_whether_it_says_so_or_not(download: Any, web: Web) -> None:
    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not web.over.is_set():
            request.wfile.write(b"x" * 65536)

    web.routes |= {"/told": (200, {"Content-Length": str(1 << 40)}, b"x"), "/endless": endless}
    for path in ("/told", "/endless"):
        with pytest.raises(FetchFailed, match="larger than 1 MiB"):
            download(f"{web.url}{path}", limit=1 << 20)


def test_what_is_cut_off_is_not_kept(download: Any, web: Web) -> None:
    web.routes["/x"] = (200, {"Content-Length": "500"}, b"too little")
    with pytest.raises(FetchFailed, match="could not be fetched"):
        download(f"{web.url}/x")


@pytest.mark.parametrize("speaks", ["not at all", "headers", "content"])
def test_a_server_that_holds_us_up_is_left_at_the_deadline(download: Any, web: Web, speaks: str) -> None:
    """Silent, or a byte now and then."""

    def slow(request: BaseHTTPRequestHandler) -> None:
        if speaks == "content":
            request.send_response(200)
            request.end_headers()
        while not web.over.wait(0.05):
            if speaks != "not at all":
                request.wfile.write(b"X")

    web.routes["/x"] = slow
    with pytest.raises(FetchFailed, match="took longer than it was given"):
        download(f"{web.url}/x", deadline=time.monotonic() + 1)
    assert len(web.asked) == 1
    with pytest.raises(FetchFailed, match="took longer"):
        download(f"{web.url}/x", deadline=time.monotonic() - 1)


def test_nonsense_is_no_answer(download: Any, web: Web) -> None:
    def nonsense(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"\0\xff" * 100 + b"\r\n\r\n")

    web.routes["/x"] = nonsense
    with pytest.raises(FetchFailed, match="could not be fetched"):
        download(f"{web.url}/x")


def test_where_nobody_listens_is_told(download: Any, web: Web) -> None:
    web.close()
    with pytest.raises(FetchFailed, match="check the address"):
        download(f"{web.url}/x")
    with pytest.raises(FetchFailed, match="is not known"):
        download("http://nowhere.invalid/x")


def test_what_is_not_changed_is_not_sent_again(download: Any, web: Web, tmp_path: Path) -> None:
    web.routes["/index.json"] = (304, {"ETag": '"1"'}, b"")
    came = download(f"{web.url}/index.json", headers={"If-None-Match": '"1"'})
    assert (came.is_new, came.etag, came.size) == (False, '"1"', 0)
    assert web.asked[0][1]["If-None-Match"] == '"1"'
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_is_there_is_written_over(download: Any, web: Web, tmp_path: Path) -> None:
    web.routes["/x"] = (200, {}, BODY)
    (tmp_path / "outside").mkdir()
    (tmp_path / "file").symlink_to(tmp_path / "outside" / "marker")
    with pytest.raises(FileExistsError):
        download(f"{web.url}/x")
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "/etc/passwd", "ftp://h/x", "", "http://", "http://h:x/", "http://\0"]
)
def test_only_the_web_is_asked(download: Any, url: str) -> None:
    with pytest.raises((SourceInvalid, FetchFailed)):
        download(url)


def test_a_certificate_nobody_vouches_for_is_refused_unless_that_is_wanted(
    download: Any, web: Web, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import ssl
    import subprocess

    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key", "-out", folder / "crt"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")
    web.encrypt(context)
    web.routes |= {"/x": (200, {}, BODY), "/down": moved(f"http://127.0.0.1:{web.port}/x")}
    with pytest.raises(FetchFailed, match="SSL_CERT_FILE"):
        download(f"https://127.0.0.1:{web.port}/x")
    with pytest.raises(SourceInvalid, match="not encrypted"):
        download(f"https://127.0.0.1:{web.port}/down", verify_ssl=False)
    assert download(f"https://127.0.0.1:{web.port}/x", verify_ssl=False).size == len(BODY)


def test_the_proxy_of_the_environment_is_used_where_it_is_meant_to_be(
    download: Any, web: Web, elsewhere: Web, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("http_proxy", elsewhere.url)
    elsewhere.routes["http://only.the.proxy.knows.invalid/x"] = (200, {}, BODY)
    assert download("http://only.the.proxy.knows.invalid/x").size == len(BODY)
    (tmp_path / "file").unlink()
    with pytest.raises(SourceInvalid):
        download("http://169.254.169.254/x")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    web.routes["/x"] = (200, {}, BODY)
    assert download(f"{web.url}/x").size == len(BODY)
    assert len(elsewhere.asked) == 1
