"""What a source means, and what is never one."""

from __future__ import annotations

from typing import Any

import pytest

from apps.packs.errors import SourceInvalid
from apps.packs.sources.spec import from_index, parse, without_credentials

pytestmark = pytest.mark.embedded_only

COMMIT = "5c5b378c93e542873fc80bf9a1cfbf8fc63748ac"


@pytest.mark.parametrize(
    ("text", "kind", "location", "ref", "subdirectory"),
    [
        ("./folder", "folder", "./folder", "", ""),
        ("packs/slack", "folder", "packs/slack", "", ""),
        ("/opt/my packs/ü", "folder", "/opt/my packs/ü", "", ""),
        (".", "folder", ".", "", ""),
        ("slack.zip", "archive_file", "slack.zip", "", ""),
        ("/tmp/slack-1.0.tar.gz", "archive_file", "/tmp/slack-1.0.tar.gz", "", ""),
        ("./slack.TGZ", "archive_file", "./slack.TGZ", "", ""),
        ("https://h.example/a/x.tar.gz", "archive_url", "https://h.example/a/x.tar.gz", "", ""),
        ("https://h.example/x.zip?token=1#sub", "archive_url", "https://h.example/x.zip?token=1", "", "sub"),
        (
            f"https://codeload.github.com/o/n/tar.gz/{COMMIT}",
            "archive_url",
            f"https://codeload.github.com/o/n/tar.gz/{COMMIT}",
            "",
            "",
        ),
        ("https://h.example/@scope/x.tgz", "archive_url", "https://h.example/@scope/x.tgz", "", ""),
        ("git+https://h.example/o/x.git", "git", "https://h.example/o/x.git", "", ""),
        ("git+https://h.example/o/x@v1", "git", "https://h.example/o/x", "v1", ""),
        (
            "git+https://h.example/o/x.git@feature/a@b#sub/dir",
            "git",
            "https://h.example/o/x.git",
            "feature/a@b",
            "sub/dir",
        ),
        ("git+https://h.example/o/x.git#subdirectory=a%20b", "git", "https://h.example/o/x.git", "", "a b"),
        ("git+https://h.example/x.git#egg=x&subdirectory=sub/", "git", "https://h.example/x.git", "", "sub"),
        ("git+https://u:t%40k@h.example/x.git@v1", "git", "https://u:t%40k@h.example/x.git", "v1", ""),
        ("https://h.example/o/x.git", "git", "https://h.example/o/x.git", "", ""),
        (f"https://h.example/o/x.git@{COMMIT}", "git", "https://h.example/o/x.git", COMMIT, ""),
        ("https://github.com/org/attune-pack-aws", "git", "https://github.com/org/attune-pack-aws", "", ""),
        ("https://github.com/org/x/archive/v1.zip", "archive_url", "https://github.com/org/x/archive/v1.zip", "", ""),
        ("git+ssh://git@h.example/o/x.git@v1", "git", "ssh://git@h.example/o/x.git", "v1", ""),
        ("ssh://git@h.example:2222/x.git", "git", "ssh://git@h.example:2222/x.git", "", ""),
        ("git@github.com:org/x.git", "git", "git@github.com:org/x.git", "", ""),
        ("git@github.com:org/x.git@v2#sub", "git", "git@github.com:org/x.git", "v2", "sub"),
        ("git+git@github.com:org/x.git", "git", "git@github.com:org/x.git", "", ""),
        ("git+http://127.0.0.1:8080/x.git", "git", "http://127.0.0.1:8080/x.git", "", ""),
        ("git+http://[::1]:8080/x.git", "git", "http://[::1]:8080/x.git", "", ""),
        ("slack", "registry", "slack", "", ""),
        ("slack@1.2.0", "registry", "slack", "1.2.0", ""),
        ("slack@^1.2", "registry", "slack", "^1.2", ""),
        ("slack@>=1.0,<2", "registry", "slack", ">=1.0,<2", ""),
        ("  slack ", "registry", "slack", "", ""),
    ],
)
def test_a_source_is_understood(text: str, kind: str, location: str, ref: str, subdirectory: str) -> None:
    source = parse(text)
    assert (source.kind, source.location, source.ref_spec, source.subdirectory) == (kind, location, ref, subdirectory)


@pytest.mark.parametrize(
    ("text", "location", "ref"),
    [
        ("git+file:///srv/packs/x.git@v1", "/srv/packs/x.git", "v1"),
        ("git+file:///srv/my%20packs/x", "/srv/my packs/x", ""),
        ("git+/srv/me@work/x.git@v1", "/srv/me@work/x.git", "v1"),
        ("git+./x", "./x", ""),
    ],
)
def test_a_repository_on_this_machine_is_one_only_where_that_is_allowed(text: str, location: str, ref: str) -> None:
    source = parse(text, allow_local=True)
    assert (source.kind, source.location, source.ref_spec, source.protocol) == ("git", location, ref, "file")
    with pytest.raises(SourceInvalid, match="may not be used from here"):
        parse(text)


def test_a_file_url_is_a_path_only_where_that_is_allowed() -> None:
    assert parse("file:///srv/x.tar.gz", allow_local=True).kind == "archive_file"
    assert parse("FILE:///srv/x", allow_local=True).location == "/srv/x"
    with pytest.raises(SourceInvalid, match="Write the path"):
        parse("file:///etc/passwd")


HOSTILE = [
    "--upload-pack=touch /tmp/x",
    "-oProxyCommand=x",
    "git+--upload-pack=x",
    "git+-x",
    "ext::sh -c touch% /tmp/x",
    "EXT::sh -c x",
    "git+ext::sh -c x",
    "fd::17/foo",
    "git+fd::17",
    "a+b::c",
    "git+ssh://-oProxyCommand=touch%20x/x",
    "git+ssh://-oProxyCommand=x@host/x.git",
    "ssh://-oX/y",
    "ssh://git@-oX/y",
    "ssh://git:password@h.example/x.git",
    "ssh://%2doX@h.example/y",
    "-x@host:y.git",
    "git@-oProxyCommand=x:y.git",
    "git@host:-oX",
    "git@h.example:--upload-pack=x",
    "git+git://h.example/x.git",
    "git://h.example/x.git",
    "git+http://h.example/x.git",
    "http://h.example/x.git",
    "git+http://127.0.0.1.h.example/x.git",
    "git+ftp://h.example/x.git",
    "ftp://h.example/x.tar.gz",
    "gopher://h.example/x.zip",
    "javascript://h.example/x.zip",
    "file:///etc/passwd",
    "git+file:///etc",
    "git+/etc",
    "https://",
    "https:///x.zip",
    "git+https://h.example/",
    "git+https://h.example",
    "https://h.example:port/x.zip",
    "https://h.example:99999/x.zip",
    "https://[::1/x.zip",
    "https://h.example/x.git@",
    "https://h.example/x.git@-x",
    "https://h.example/x.git@--upload-pack=x",
    "https://h.example/x.git@a..b",
    "https://h.example/x.git@a b",
    "https://h.example/x.git@a:b",
    "https://h.example/x.git@^a",
    "https://h.example/x.git@a~1",
    "https://h.example/x.git@a.lock",
    "https://h.example/x.git#../up",
    "https://h.example/x.git#a/../../b",
    "https://h.example/x.git#%2e%2e/up",
    "https://h.example/x.git#/etc",
    "https://h.example/x.git#-x",
    "https://h.example/x.git#sub/-x",
    "https://h.example/x.git#subdirectory=..",
    "https://h.example/x.git#sub/.git",
    "https://h.example/x.git#sub/.GIT/hooks",
    "https://h.example/x.git#a\\b",
    "https://h.example/x.git#config=x",
    "https://h.example/x\r\n.zip",
    "https://h.example/%0d%0ax.zip",
    "https://user%0a@h.example/x.git",
    "https://h.example\\@evil.example/x.zip",
    "https://h .example/x.zip",
    "https://hö.example/x.zip",
    "https://-h.example/x.zip",
    "https://-user@h.example/x.git",
    "./a\0b",
    "a\nb",
    "~/packs/x",
    "Slack",
    "slack@",
    "slack@latest greatest",
    "slack@-1",
    "slack;touch x",
    "$(touch x)",
    "two words",
    "",
    "   ",
    "x" * 3000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_hostile_or_no_source_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(SourceInvalid) as refused:
        parse(text)
    assert (refused.value.status_code, refused.value.code) == (422, "source_invalid")
    assert len(refused.value.message) < 600
    assert "\r" not in refused.value.message and "\0" not in refused.value.message


@pytest.mark.parametrize("ref", ["--upload-pack=x", "-x", "a..b", "a b", "a:b", "a\nb", "@{u}", "x" * 300, "*"])
def test_a_ref_that_is_none_is_refused(ref: str) -> None:
    with pytest.raises(SourceInvalid):
        parse("git+https://h.example/x.git", ref_spec=ref)


@pytest.mark.parametrize("folder", ["..", "a/../b", "/etc", "-x", "a//b", ".git", "./..", "a\\b", "a\0", "sub/./x"])
def test_a_subdirectory_that_leads_elsewhere_is_refused(folder: str) -> None:
    with pytest.raises(SourceInvalid):
        parse("./folder", subdirectory=folder)


@pytest.mark.parametrize("wrong", [None, 7, ["slack"], {"url": "x"}, b"slack"])
def test_what_is_no_text_is_refused(wrong: Any) -> None:
    with pytest.raises(SourceInvalid, match="must be text"):
        parse(wrong)
    with pytest.raises(SourceInvalid, match="must be text"):
        parse("slack", ref_spec=wrong)


def test_ref_and_subdirectory_may_be_given_beside_the_text_but_not_another_one_within() -> None:
    source = parse("git+https://h.example/x.git", ref_spec="v1", subdirectory="sub")
    assert (source.ref_spec, source.subdirectory) == ("v1", "sub")
    assert parse("git+https://h.example/x.git@v1", ref_spec="v1").ref_spec == "v1"
    assert parse("slack", ref_spec="1.2.0").ref_spec == "1.2.0"
    with pytest.raises(SourceInvalid, match="two refs"):
        parse("git+https://h.example/x.git@v1", ref_spec="v2")
    with pytest.raises(SourceInvalid, match="Leave the ref out"):
        parse("./folder", ref_spec="v1")


def test_credentials_are_kept_for_the_fetch_and_shown_to_nobody() -> None:
    source = parse("git+https://user:s3cret@h.example/x.git@v1")
    assert "s3cret" in source.location
    assert source.shown == "git+https://…@h.example/x.git@v1"
    assert "s3cret" not in f"{source!r} {source}"
    with pytest.raises(SourceInvalid) as refused:
        parse("https://user:s3cret@h.example/x.git@-x")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("fatal: https://t0ken@h.example/x: no", "fatal: https://…@h.example/x: no"),
        ("https://u:p@a@h.example/x?sig=abc#sub", "https://…@h.example/x?…#sub"),
        ("ssh://git@h.example/x and git@h.example:o/x.git", "ssh://git@h.example/x and git@h.example:o/x.git"),
        ("ssh://git:pw@h.example/x", "ssh://…@h.example/x"),
        ("user:pw@h.example/x.git", "…@h.example/x.git"),
        ("https://h.example/x.git@v1", "https://h.example/x.git@v1"),
        ("two\nlines \x1b[31mred", "two\nlines ?[31mred"),
    ],
)
def test_text_is_shown_without_credentials(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


@pytest.mark.parametrize(
    ("text", "host", "protocol"),
    [
        ("git+https://u@H.Example:8443/x.git", "h.example", "https"),
        ("git@h.example:x.git", "h.example", "ssh"),
        ("ssh://git@[::1]/x.git", "::1", "ssh"),
        ("http://127.0.0.1:80/x.zip", "127.0.0.1", "http"),
        ("./x", "", "file"),
        ("x.zip", "", "file"),
        ("slack", "", ""),
    ],
)
def test_a_source_tells_its_host_and_protocol(text: str, host: str, protocol: str) -> None:
    source = parse(text)
    assert (source.host, source.protocol) == (host, protocol)


def test_the_install_sources_of_an_index_are_understood() -> None:
    git = from_index({"type": "git", "url": "https://github.com/attune-packs/git.git", "ref": COMMIT})
    assert (git.kind, git.location, git.ref_spec) == ("git", "https://github.com/attune-packs/git.git", COMMIT)
    archive = from_index({"type": "archive", "url": f"https://codeload.github.com/o/x.git/tar.gz/{COMMIT}"})
    assert archive.kind == "archive_url"
    assert from_index({"type": "archive", "url": "https://github.com/o/x"}).kind == "archive_url"


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"type": "git"},
        {"type": "git", "url": 7},
        {"type": "git", "url": "file:///etc"},
        {"type": "git", "url": "/etc"},
        {"type": "git", "url": "ext::sh -c x"},
        {"type": "git", "url": "https://h.example/x.git", "ref": "--upload-pack=x"},
        {"type": "git", "url": "https://h.example/x.git", "ref": 7},
        {"type": "archive", "url": "/etc/passwd.zip"},
        {"type": "archive", "url": "file:///etc/passwd.zip"},
        {"type": "local", "url": "https://h.example/x.zip"},
    ],
)
def test_a_bad_entry_of_an_index_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(SourceInvalid):
        from_index(entry)
