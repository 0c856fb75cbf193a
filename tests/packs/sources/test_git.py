"""Git repositories give one commit's plain files, whatever the repository would rather have us do."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from apps.packs.errors import FetchFailed, SourceInvalid
from apps.packs.sources import addresses, git
from apps.packs.sources.members import Limits
from apps.packs.sources.spec import Source, parse
from tests.packs.sources.conftest import FILES, LOOPBACK, Repository, Web, files_of, soon, write

pytestmark = pytest.mark.embedded_only

WANTED = {name: content.encode() for name, content in FILES.items()}


@pytest.fixture
def fetch(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Fetch to `tmp_path/in/target`; what fails leaves nothing there. The marker of a hostile source never appears."""
    home, marker = tmp_path / "in", tmp_path / "marker"
    home.mkdir()
    lines: list[str] = []

    def do(source: str | Source, ref: str = "", **more: Any) -> Path:
        target = home / "target"
        given = {"say": lines.append, "deadline": soon(), "allow_local": True, "trusted_hosts": LOOPBACK} | more
        if isinstance(source, str):
            source = parse(source, ref_spec=ref, allow_local=True)
        try:
            do.commit = git.fetch(source, target, **given).commit  # type: ignore[attr-defined]
        except (FetchFailed, SourceInvalid):
            assert list(home.iterdir()) == []
            raise
        return target

    do.marker, do.lines = marker, lines  # type: ignore[attr-defined]
    yield do
    assert not marker.exists(), "something of the source was run, or got out"


def local(repository: Repository) -> str:
    return f"git+{repository.folder}"


@pytest.fixture
def served(repository: Repository, web: Web) -> Callable[[], str]:
    """The repository on a plain web server, as it is at the moment of the call."""

    def serve() -> str:
        repository.git("update-server-info")
        web.folder = repository.folder
        return f"git+{web.url}/.git"

    return serve


def test_the_default_branch_comes_without_its_history(fetch: Any, repository: Repository) -> None:
    commit = repository.commit({"lib.txt": "newer"})
    target = fetch(local(repository))
    assert fetch.commit == commit
    assert files_of(target) == WANTED | {"lib.txt": b"newer"}
    assert fetch.lines[0] == f"Fetching {local(repository)}"
    assert fetch.lines[-1].startswith(f"Commit {commit}, 7 files, ")


def test_branches_tags_and_commits_are_found(fetch: Any, repository: Repository) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.git("tag", "v1")
    repository.git("tag", "--annotate", "--message=two", "pkg@2.0")
    repository.git("checkout", "--quiet", "-b", "feature/x")
    second = repository.commit({"new": "x"})
    repository.git("checkout", "--quiet", "main")
    third = repository.commit({"newer": "x"})
    for ref, commit in {
        "v1": first,
        "pkg@2.0": first,
        "feature/x": second,
        "main": third,
        "": third,
        first: first,
        second.upper(): second,
        second[:10]: second,
        "refs/tags/v1": first,
    }.items():
        target = fetch(local(repository), ref)
        assert fetch.commit == commit, ref
        shutil.rmtree(target)


def test_a_repository_on_a_plain_web_server_comes_too(fetch: Any, repository: Repository, served: Any) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.git("tag", "v1")
    repository.commit({"newer": "x"})
    assert files_of(fetch(served(), "v1")) == WANTED
    assert fetch.commit == first


def test_a_commit_that_no_name_leads_to_is_found_in_the_history(
    fetch: Any, repository: Repository, served: Any
) -> None:
    first = repository.git("rev-parse", "HEAD")
    repository.commit({"newer": "x"})
    assert files_of(fetch(served(), first[:12])) == WANTED
    assert fetch.commit == first
    assert "The commit cannot be had alone; fetching all branches and tags" in fetch.lines


def test_only_the_subdirectory_comes_and_what_is_beside_it_does_not_matter(fetch: Any, repository: Repository) -> None:
    repository.commit({"packs/slack/pack.yaml": "ref: slack", "packs/slack/a/b": "x"})
    repository.commit_entry("120000", "packs/link", b"/etc/passwd")
    target = fetch(f"{local(repository)}#packs/slack")
    assert files_of(target) == {"pack.yaml": b"ref: slack", "a/b": b"x"}


@pytest.mark.parametrize("folder", ["nowhere", "lib.txt", "lib/x.py/deeper"])
def test_a_subdirectory_that_is_none_is_told(fetch: Any, repository: Repository, folder: str) -> None:
    with pytest.raises(SourceInvalid, match="has no folder"):
        fetch(f"{local(repository)}#{folder}")


def test_modes_are_those_of_plain_files(fetch: Any, repository: Repository) -> None:
    write(repository.folder, {"run.sh": "#!/bin/sh"})
    (repository.folder / "run.sh").chmod(0o755)
    repository.commit()
    target = fetch(local(repository))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (target, target / "run.sh", target / "lib.txt")}
    assert modes == {"target": 0o755, "run.sh": 0o755, "lib.txt": 0o644}


@pytest.mark.parametrize("ref", ["nowhere", "0" * 40, "abcdef1", "refs/heads/nowhere"])
def test_a_ref_that_is_not_there_is_told(fetch: Any, repository: Repository, served: Any, ref: str) -> None:
    for source in (local(repository), served()):
        with pytest.raises(FetchFailed, match=f"no branch, tag or commit '{ref}'"):
            fetch(source, ref)


def test_a_commit_that_is_no_commit_is_told(fetch: Any, repository: Repository) -> None:
    tree = repository.git("rev-parse", "HEAD^{tree}")
    with pytest.raises(FetchFailed):
        fetch(local(repository), tree)


def test_a_repository_without_a_commit_and_a_place_without_a_repository_are_told(
    fetch: Any, tmp_path: Path, web: Web
) -> None:
    Repository(tmp_path / "bare")
    with pytest.raises(FetchFailed, match="no commit yet"):
        fetch(f"git+{tmp_path / 'bare'}")
    for source in (f"git+{tmp_path}/nowhere", f"git+{web.url}/x.git"):
        with pytest.raises(FetchFailed, match="no repository"):
            fetch(source)


# Hostile repositories ------------------------------------------------------------------------------------------------
def test_repositories_on_this_machine_are_read_only_where_that_is_allowed(fetch: Any, repository: Repository) -> None:
    with pytest.raises(SourceInvalid, match="on the server itself"):
        fetch(local(repository), allow_local=False)


def hostile(location: str, **more: str) -> Source:
    """A source that no text gives, as if `parse` had been gone round."""
    return Source("git", location, **more)


@pytest.mark.parametrize(
    "location",
    [
        "--upload-pack=touch {marker}",
        "-c core.sshCommand=touch {marker}",
        "ext::sh -c touch% {marker}",
        "ext::touch {marker}",
        "fd::0",
        "git://127.0.0.1/x",
        "ssh://-oProxyCommand=touch {marker}/x",
        "ssh://-oProxyCommand=touch%20{marker}/x",
        "-oProxyCommand=touch {marker}@h:x",
        "git@-oProxyCommand=touch${{IFS}}{marker}:x",
        "http://h.example/x",
        "transport::address",
    ],
)
@pytest.mark.parametrize("allow_local", [True, False])
def test_no_location_becomes_an_option_or_a_program(
    fetch: Any, repository: Repository, location: str, allow_local: bool
) -> None:
    location = location.format(marker=fetch.marker)
    with pytest.raises((FetchFailed, SourceInvalid)):
        fetch(hostile(location), allow_local=allow_local)


@pytest.mark.parametrize("what", ["ref_spec", "subdirectory"])
@pytest.mark.parametrize(
    "value",
    ["--upload-pack=touch {marker}", "-x", "--output={marker}", "x --upload-pack=touch {marker}", "$(touch {marker})"],
)
def test_no_ref_and_no_subdirectory_becomes_an_option(
    fetch: Any, repository: Repository, what: str, value: str
) -> None:
    value = value.format(marker=fetch.marker)
    with pytest.raises((FetchFailed, SourceInvalid)):
        fetch(hostile(str(repository.folder), **{what: value}))


def test_no_hook_is_run_neither_of_the_repository_nor_of_a_template(
    fetch: Any, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"#!/bin/sh\ntouch {fetch.marker}\n"
    names = (
        "post-checkout",
        "reference-transaction",
        "post-merge",
        "pre-upload",
        "fsmonitor-watchman",
        "post-index-change",
    )
    for folder in (tmp_path / "template" / "hooks", repository.folder / ".git" / "hooks"):
        for name in names:
            write(folder, {name: script})
            (folder / name).chmod(0o755)
    home = write(tmp_path / "home", {".gitconfig": f"[init]\ntemplateDir = {tmp_path}/template\n"})
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "template"))
    monkeypatch.setenv("HOME", str(home))
    assert files_of(fetch(local(repository))) == WANTED


def test_nobodys_settings_are_obeyed(
    fetch: Any, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch = f"touch {fetch.marker}; false"
    repository.commit({".gitattributes": "* filter=evil diff=evil\n"})
    config = "".join(
        f"[{section}]\n{name} = {value}\n"
        for section, name, value in [
            ('filter "evil"', "smudge", touch),
            ("core", "fsmonitor", touch),
            ("core", "sshCommand", touch),
            ("uploadpack", "packObjectsHook", touch),
            ("credential", "helper", f"!{touch}"),
            ('url "ext::x"', "insteadOf", str(repository.folder)),
            ("core", "gitProxy", touch),
            ("core", "alternateRefsCommand", touch),
        ]
    )
    home = write(tmp_path / "home", {".gitconfig": config, ".config/git/config": config})
    with (repository.folder / ".git" / "config").open("a") as own:
        own.write(config)
    for name, value in {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": touch,
        "GIT_CONFIG_PARAMETERS": f"'core.fsmonitor={touch}'",
        "GIT_SSH_COMMAND": touch,
        "GIT_EXTERNAL_DIFF": touch,
        "GIT_ASKPASS": touch,
        "GIT_DIR": "/nowhere",
        "GIT_ALLOW_PROTOCOL": "ext:file",
    }.items():
        monkeypatch.setenv(name, value)
    assert files_of(fetch(local(repository)))["lib.txt"] == WANTED["lib.txt"]


def test_attributes_change_nothing(fetch: Any, repository: Repository) -> None:
    """Content is what was committed: no line ends, keywords or encodings are made, nothing is left out."""
    attributes = "*.txt text eol=crlf ident\nempty export-ignore\nsub export-subst\n*.u working-tree-encoding=UTF-16\n"
    files = {"a.txt": "one\n$Id$\n", "sub": "$Format:%H$", "x.u": "text", "b.bin": "version https://git-lfs/spec/v1\n"}
    files[".gitattributes"] = f"{attributes}*.bin filter=lfs diff=lfs merge=lfs -text\n"
    for name, content in files.items():
        repository.commit_entry("100644", name, content.encode())
    found = files_of(fetch(local(repository)))
    assert {name: found[name].decode() for name in files} == files
    assert "empty" in found


def test_symbolic_links_are_refused_by_name(fetch: Any, repository: Repository) -> None:
    repository.commit_entry("120000", "lib/link", str(fetch.marker).encode())
    with pytest.raises(SourceInvalid, match="'lib/link' is a symbolic link"):
        fetch(local(repository))


def test_a_link_that_hides_a_hook_gets_nowhere(fetch: Any, repository: Repository) -> None:
    """A folder of a submodule that is a link to where hooks are."""
    submodule = f'[submodule "x"]\npath = "sub\\r"\nurl = {repository.folder}\nupdate = !touch {fetch.marker}\n'
    repository.commit({".gitmodules": submodule})
    repository.commit_entry("160000", "sub", oid=repository.git("rev-parse", "HEAD"))
    with pytest.raises(SourceInvalid, match="'sub' is a submodule"):
        fetch(local(repository))


def tree_with(repository: Repository, name: str, mode: str = "100644") -> str:
    """A commit with one entry of a name that git itself would not take."""
    blob = repository.git("hash-object", "-w", "--stdin", stdin=b"escaped")
    if mode == "40000":
        blob = repository.git("mktree", stdin=f"100644 blob {blob}\tinside\n".encode())
    raw = mode.encode() + b" " + name.encode("utf-8", "surrogateescape") + b"\0" + bytes.fromhex(blob)
    tree = repository.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", stdin=raw)
    commit = repository.git("commit-tree", "-m", "odd", tree)
    repository.git("update-ref", "refs/heads/odd", commit)
    return "odd"


@pytest.mark.parametrize("name", ["..", "a\\b", "C:x", "a\nb", "/abs", "../marker", "\udcff", "a" * 300])
@pytest.mark.parametrize("mode", ["100644", "40000"])
def test_names_that_lead_elsewhere_are_refused(fetch: Any, repository: Repository, name: str, mode: str) -> None:
    with pytest.raises((SourceInvalid, FetchFailed)):
        fetch(local(repository), tree_with(repository, name, mode))


@pytest.mark.parametrize("name", [".git", ".GIT"])
def test_a_git_folder_inside_is_left_out(fetch: Any, repository: Repository, name: str) -> None:
    with suppress(FetchFailed):
        assert files_of(fetch(local(repository), tree_with(repository, name, "40000"))) == {}


def test_names_that_differ_only_in_case_are_refused(fetch: Any, repository: Repository) -> None:
    repository.commit_entry("100644", "LIB.txt", b"x")
    with pytest.raises(SourceInvalid, match="one name to some systems"):
        fetch(local(repository))


def test_too_many_files_and_too_large_ones_are_refused_before_they_are_written(
    fetch: Any, repository: Repository
) -> None:
    repository.commit({"large": b"\0" * (2 << 20)})
    with pytest.raises(SourceInvalid, match="larger than 1 MiB"):
        fetch(local(repository), limits=Limits(size=1 << 20))
    with pytest.raises(SourceInvalid, match="more than 5 files"):
        fetch(local(repository), limits=Limits(files=5))


def test_a_repository_that_sends_too_much_is_stopped(fetch: Any, repository: Repository) -> None:
    repository.commit({"noise": os.urandom(3 << 20)})
    with pytest.raises(FetchFailed, match="more than 1 MiB"):
        fetch(local(repository), most=1 << 20)


# The network ---------------------------------------------------------------------------------------------------------
def test_a_server_that_hangs_is_left_at_the_deadline(fetch: Any, web: Web) -> None:
    web.routes["/x.git/info/refs?service=git-upload-pack"] = lambda request: web.over.wait(30) and None
    with pytest.raises(FetchFailed, match="longer than it was given"):
        fetch(f"git+{web.url}/x.git", deadline=time.monotonic() + 0.5)
    assert web.asked


def test_a_server_whose_list_of_refs_never_ends_is_left_before_memory_is(fetch: Any, web: Web) -> None:
    def long(request: BaseHTTPRequestHandler) -> None:
        """More than may be held, and not so much that it hurts if it is."""
        request.send_response(200)
        request.send_header("Content-Type", "text/plain")
        request.end_headers()
        for _ in range(600):
            request.wfile.write(f"{'0' * 40}\trefs/heads/{'x' * 973}\n".encode() * 1024)

    web.routes["/x.git/info/refs?service=git-upload-pack"] = long
    with pytest.raises(FetchFailed, match="more memory than a pack should"):
        fetch(f"git+{web.url}/x.git", most=1 << 20, deadline=time.monotonic() + 10)


def test_a_damaged_repository_is_told(fetch: Any, repository: Repository, served: Any) -> None:
    blob = repository.git("rev-parse", "HEAD:lib.txt")
    (repository.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    for source in (local(repository), served()):
        with pytest.raises(FetchFailed, match="could not be fetched"):
            fetch(source)


def test_redirects_of_a_repository_are_told_and_not_followed(fetch: Any, web: Web, elsewhere: Web) -> None:
    web.routes["/x.git/info/refs?service=git-upload-pack"] = (
        301,
        {"Location": f"{elsewhere.url}/x.git/info/refs?service=git-upload-pack"},
        b"",
    )
    with pytest.raises(FetchFailed, match="has moved"):
        fetch(f"git+{web.url}/x.git")
    assert elsewhere.asked == []


def test_a_host_at_a_private_address_is_not_asked(fetch: Any, web: Web) -> None:
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(SourceInvalid, match="not an address of the public network"):
            fetch(f"git+http://{host}:{web.port}/x.git", trusted_hosts=frozenset())
    for source in (
        "git+https://inside.example/x.git",
        "git@inside.example:x.git",
        "ssh://git@inside.example:2222/x.git",
    ):
        with pytest.raises(SourceInvalid, match=r"inside\.example is at 10\.0\.0\.1"):
            fetch(source, resolve=lambda host, port: ["10.0.0.1"])
    assert web.asked == []


def test_git_is_held_to_the_address_that_was_checked(
    fetch: Any, repository: Repository, elsewhere: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked itself, git would find this name at 127.0.0.1."""
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.2")
    repository.git("update-server-info")
    elsewhere.folder = repository.folder
    source = f"git+http://other.localhost:{elsewhere.port}/.git"
    assert files_of(fetch(source, resolve=lambda host, port: ["127.0.0.2"])) == WANTED
    assert elsewhere.asked[0][1]["Host"] == f"other.localhost:{elsewhere.port}"


def test_ssh_is_held_to_the_address_that_was_checked_and_asks_nobody(
    fetch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for ssh writes down how it is called; nothing of the server's environment gets that far."""
    monkeypatch.setenv("SECRET_KEY", "t0p-s3cret")
    script = (
        write(
            tmp_path,
            {"ssh.sh": '#!/bin/sh\nenv > "$0.env"\nfor word in "$@"; do echo "$word"; done > "$0.called"\nexit 1\n'},
        )
        / "ssh.sh"
    )
    script.chmod(0o755)
    with pytest.raises(FetchFailed):
        fetch(
            "git+ssh://git@h.example:2222/x.git@v1",
            resolve=lambda host, port: ["93.184.216.34"],
            environment={"GIT_SSH_COMMAND": f"{script} -i /some/key"},
        )
    assert "t0p-s3cret" not in (tmp_path / "ssh.sh.env").read_text()
    called = (tmp_path / "ssh.sh.called").read_text().splitlines()
    assert called[:2] == ["-i", "/some/key"]
    for option in (
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "HostName=93.184.216.34",
        "HostKeyAlias=[h.example]:2222",
    ):
        assert called[called.index(option) - 1] == "-o"
    assert called[-2] == "git@h.example" and called[called.index("-p") + 1] == "2222"


def test_credentials_reach_the_server_and_no_command_line(
    fetch: Any, repository: Repository, web: Web, served: Any
) -> None:
    seen: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    seen.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        fetch(served().replace("//", "//user:s3cret-t0ken@"))
    finally:
        over.set()
        watching.join()
    assert {headers.get("Authorization") for _, headers in web.asked} == {"Basic dXNlcjpzM2NyZXQtdDBrZW4="}
    assert any("remote-http" in line for line in seen)
    assert not [line for line in seen if "s3cret" in line or "dXNlcjpz" in line]
    assert not [line for line in fetch.lines if "s3cret" in line]


def test_a_repository_that_wants_credentials_is_told_and_nobody_is_asked(fetch: Any, web: Web) -> None:
    web.routes["/x.git/info/refs?service=git-upload-pack"] = (401, {"WWW-Authenticate": "Basic realm=x"}, b"")
    for source in (f"git+{web.url}/x.git", f"git+http://user:s3cret@127.0.0.1:{web.port}/x.git"):
        with pytest.raises(FetchFailed, match="wants credentials") as failed:
            fetch(source)
        assert "s3cret" not in str(failed.value)


def test_where_nobody_listens_is_told(fetch: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(FetchFailed, match="could not be fetched"):
        fetch(f"git+http://127.0.0.1:{port}/x.git")
    with pytest.raises(FetchFailed, match="is not known"):
        fetch("git+https://nowhere.invalid/x.git")


def test_without_git_it_is_said_what_to_do(fetch: Any, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FetchFailed, match="git is not installed"):
        fetch(local(repository))
