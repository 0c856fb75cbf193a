"""Fetch a pack from a git repository: one commit, its plain files written by ourselves, nothing of it run.

There is no checkout: no hook, filter, submodule or link of a repository ever has its turn.

Credentials: in the URL (`https://user:token@…`, handed to git without showing them to other users of the machine), by
the ssh key of the user the server runs as, or in `environment` (`GIT_SSH_COMMAND="ssh -i …"`).
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from apps.packs.errors import FetchFailed, SourceInvalid
from apps.packs.sources import addresses, routes
from apps.packs.sources.members import LIMITS, Limits, Members
from apps.packs.sources.placing import Tree
from apps.packs.sources.programs import Failed, Git
from apps.packs.sources.spec import Source, is_loopback, without_credentials

MOST = 512 << 20  # bytes that a repository may send

_WANTED = "refs/attune/wanted"
_EVERYTHING = ("+refs/heads/*:refs/attune/heads/*", "+refs/tags/*:refs/attune/tags/*")
_COMMIT = re.compile(r"[0-9a-f]{7,40}\Z", re.IGNORECASE)
_NOT_THERE = re.compile(r"couldn't find remote ref|unadvertised object|not our ref|Unable to find [0-9a-f]{40}")
_NOT_SHALLOW = "shallow capabilities"  # a plain web server that holds a repository
_KINDS = {"120000": "a symbolic link", "160000": "a submodule"}
_MODES = {"100644": False, "100664": False, "100755": True}
_CHUNK = 256 << 10

Say = Callable[[str], None]


@dataclass(frozen=True)
class GitFetched:
    """Which commit came."""

    commit: str


def fetch(
    source: Source,
    target: Path,
    *,
    say: Say,
    deadline: float,
    allow_local: bool = False,
    trusted_hosts: frozenset[str] = frozenset(),
    verify_ssl: bool = True,
    environment: Mapping[str, str] | None = None,
    limits: Limits = LIMITS,
    most: int = MOST,
    resolve: addresses.Resolve = addresses.resolve,
) -> GitFetched:
    """Write the files of the source's ref, or of the default branch, from its subdirectory to the new folder `target`.

    `deadline` is a moment of `time.monotonic`. Nothing is left behind by what fails.
    """
    protocol = source.protocol
    if protocol == "file" and not allow_local:
        raise SourceInvalid(f"{source.shown} is on the server itself, and may not be used from here; give a URL.")
    if protocol not in ("https", "ssh", "file") and not (protocol == "http" and is_loopback(source.host)):
        raise SourceInvalid(f"{source.shown} cannot be fetched safely; write git+https://… or git+ssh://…")
    work = Path(tempfile.mkdtemp(prefix=".git-", dir=target.parent))
    try:
        url, settings, given, header = routes.route(source, trusted_hosts, verify_ssl, environment or {}, resolve)
        git = Git(
            work,
            protocol=protocol,
            settings=settings,
            environment=given,
            header=header,
            deadline=deadline,
            most=most,
        )
        say(f"Fetching {source.shown}" + (f" at {source.ref_spec}" if source.ref_spec else ""))
        git.run("init", "--quiet", "--bare", "--template=", "--", str(git.folder))
        commit = _bring(git, url, source, say)
        _export(git, commit, source, target, limits, say)
    except Failed as failed:
        shutil.rmtree(target, ignore_errors=True)
        raise _explained(source, str(failed)) from None
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return GitFetched(commit)


# What is fetched -----------------------------------------------------------------------------------------------------
def _bring(git: Git, url: str, source: Source, say: Say) -> str:
    """Fetch as little as the other side lets us, and tell the commit. Raises Failed with what git said."""

    def fetch(*what: str, depth: bool) -> None:
        options = ["--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--force"]
        git.run(
            "fetch",
            *options,
            *(["--depth=1"] if depth else []),
            "--",
            url,
            *what,
            most=git.most,
            watched=git.folder,
            tell=lambda size: say(f"… {size / (1 << 20):.1f} MiB"),
        )

    ref = source.ref_spec or "HEAD"
    wanted = f"+{ref.lower() if len(ref) == 40 and _COMMIT.match(ref) else ref}:{_WANTED}"
    try:
        try:
            fetch(wanted, depth=True)
        except Failed as failed:
            if _NOT_SHALLOW not in str(failed):
                raise
            fetch(wanted, depth=False)
        return git.answer("rev-parse", "--verify", "--quiet", "--end-of-options", f"{_WANTED}^{{commit}}")
    except Failed as failed:
        if not (_COMMIT.match(ref) and _NOT_THERE.search(str(failed))):
            raise
    say("The commit cannot be had alone; fetching all branches and tags")
    fetch(*_EVERYTHING, depth=False)
    try:
        return git.answer("rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
    except Failed:
        raise Failed(f"couldn't find remote ref {ref}") from None


# What is kept of it --------------------------------------------------------------------------------------------------
def _export(git: Git, commit: str, source: Source, target: Path, limits: Limits, say: Say) -> None:
    def refusal(reason: str) -> SourceInvalid:
        return SourceInvalid(f"The repository {source.shown} was refused: {reason}.")

    folder = source.subdirectory
    top = f"{commit}:{folder}" if folder else commit
    try:
        git.run("ls-tree", "-r", "-z", "-l", "--full-tree", "--end-of-options", top)
    except Failed:
        if not folder:
            raise
        raise refusal(f"commit {commit[:12]} has no folder {folder!r}; name another subdirectory") from None
    files = _listed(git.output.read_bytes(), Members(limits, refusal), refusal)
    blobs = "".join(f"{blob}\n" for _, blob, *_ in files).encode()
    git.run("cat-file", "--batch", "--buffer", stdin=blobs, most=limits.size + (32 << 20))
    tree = Tree(target, limits, refusal)
    with git.output.open("rb") as output:
        for name, blob, size, executable in files:
            if output.readline(200).split() != [blob.encode(), b"blob", str(size).encode()]:
                raise refusal(f"{name!r} cannot be read from it; try again")
            tree.file(name, _content(output, size), executable=executable)
            output.read(1)
    say(f"Commit {commit}, {len(files):,} files, {sum(size for *_, size, _ in files):,} bytes")


def _listed(
    listing: bytes, members: Members, refusal: Callable[[str], SourceInvalid]
) -> list[tuple[str, str, int, bool]]:
    """The files of a tree: name, blob, size, whether it can be executed; nothing has been read of them yet."""
    files = []
    for entry in listing.split(b"\0")[:-1]:
        facts, _, spelled = entry.partition(b"\t")
        mode, _, blob, size = facts.decode().split()
        try:
            name = spelled.decode()
        except UnicodeDecodeError:
            raise refusal(f"the name {spelled!r} is not UTF-8; rename the file") from None
        if mode not in _MODES:
            what = _KINDS.get(mode, "a special file")
            raise refusal(f"{name!r} is {what}; a pack holds plain files and folders only")
        members.file(name)
        members.grow(name, int(size))
        files.append((name, blob, int(size), _MODES[mode]))
    return files


def _content(output: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (chunk := output.read(min(size, _CHUNK))):
        size -= len(chunk)
        yield chunk


# What went wrong -----------------------------------------------------------------------------------------------------
def _explained(source: Source, said: str) -> FetchFailed:
    """Git's own words, and what to do about them."""
    ref = source.ref_spec
    remedies = {
        r"couldn't find remote ref HEAD": "it has no commit yet; push one",
        r"couldn't find remote ref|not our ref|unadvertised": f"it has no branch, tag or commit {ref!r}; name another",
        r"Authentication failed|could not read (Username|Password)|error: 40[13]|Permission denied|denied to": (
            "it is not there, or wants credentials; check the address, and give a token in the URL "
            "(https://user:token@…) or use git+ssh with a key of the server's"
        ),
        r"Host key verification failed": "its ssh key is not known; add it to ~/.ssh/known_hosts of the server's user",
        r"returned error: 404|does not appear to be a git|not found|does not exist": (
            "there is no repository; check the address"
        ),
        r"redirect|returned error: 30\d": "it has moved; give its new address, perhaps the same with .git at the end",
        r"out of memory|malloc|mmap failed": "it takes more memory than a pack should; give an archive instead",
        r"dubious ownership": "it belongs to another user of this machine; change its owner, or give a URL",
        r"certificate|SSL|TLS": "its certificate is not believed; add its authority to those of this machine",
        r"resolve host|Could not resolve|Name or service": "its host is not known; check the spelling and the network",
    }
    remedy = next((remedy for pattern, remedy in remedies.items() if re.search(pattern, said, re.IGNORECASE)), "")
    lines = [line for line in without_credentials(said).splitlines() if line.strip()][-3:]
    story = remedy or "check the address and the network"
    return FetchFailed(f"{source.shown} could not be fetched: {story}. Git said: {' / '.join(lines)[:600]}")
