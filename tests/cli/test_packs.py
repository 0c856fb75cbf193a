"""Packs from the command line: sent, installed by name, previewed, updated, rolled back, configured, taken away."""

from __future__ import annotations

import http.server
import subprocess
import tarfile
import threading
from functools import partial

import pytest

from attune.cli.archive import opened
from tests.conftest import write_pack

pytestmark = pytest.mark.embedded_only

GREET = """
cat > /dev/null
echo hello
"""
RULE = {"trigger_ref": "core.intervaltimer", "trigger_params": {"unit": "hours", "interval": 9}}


@pytest.fixture
def make(tmp_path):
    """`make("demo", version="2.0.0")`: the folder of a pack with an action, and tests that say they pass or not."""

    def write(ref, *, passes=True, parameters=None, **manifest):
        script = f"echo 'ok   one'\n{'' if passes else 'echo FAIL two'}\nexit {0 if passes else 1}\n"
        about = {"entry_point": "greet.sh", "parameter_delivery": "stdin", "parameters": parameters or {}}
        files = {
            "actions/greet.yaml": {"ref": f"{ref}.greet"} | about,
            "actions/greet.sh": GREET,
            "tests/run.sh": script,
        }
        testing = {"runners": {"all": {"type": "script", "entry_point": "tests/run.sh"}}, "on_failure": "block"}
        return write_pack(tmp_path / "packs" / ref, ref, files, **{"testing": testing} | manifest)

    return write


def test_a_folder_is_sent_installed_tested_and_run(attune, make):
    said = attune("pack", "install", str(make("sent")))
    assert said.out == ""
    assert "Switching …\n" in said.err and said.err.endswith("Pack sent 1.0.0 is installed.\n")
    assert "\x1b" not in said.err and "\r" not in said.err
    assert attune("action", "execute", "sent.greet", "-w").out == "hello\n"
    assert "1 of 1 tests passed." in attune("pack", "test", "sent").err
    assert attune.json("pack", "show", "sent")["version"] == "1.0.0"
    assert "nothing is changed" in attune("pack", "install", str(make("sent"))).err


def test_a_path_from_here_is_a_path_and_a_bare_name_is_a_name(attune, make):
    folder = make("here")
    attune.folder = folder.parent
    attune("pack", "install", "./here")
    attune.folder = folder
    attune("pack", "install", ".", "--force")
    attune.folder = folder.parent
    said = attune("pack", "install", "here", code=1)
    assert "There is no index to look for here in" in said.err and "write ./here" in said.err


def test_an_archive_is_sent_as_it_is(attune, make, tmp_path):
    folder = make("boxed")
    with tarfile.open(tmp_path / "boxed.tgz", "w:gz") as archive:
        archive.add(folder, "boxed")
    done = attune.json("pack", "upload", str(tmp_path / "boxed.tgz"))
    assert (done["status"], done["pack_ref"], done["percent"]) == ("completed", "boxed", 100)


def test_the_log_is_shown_when_asked_for_and_when_it_failed(attune, make):
    assert "ok   one" in attune("pack", "install", str(make("wordy")), "--verbose").err
    said = attune("pack", "install", str(make("failing", passes=False)), code=1)
    assert "FAIL two" in said.err and "Error:" in said.err and "attune pack installs" in said.err
    attune("pack", "show", "failing", code=3)
    attune("pack", "install", str(make("failing", passes=False)), "--skip-tests")
    assert "failed" in attune("pack", "test", "failing", code=1).err


def test_faults_are_named_with_file_and_line(attune, make):
    folder = make("faulty")
    (folder / "actions" / "bad.yaml").write_text("ref: faulty.bad\nentry_point: ../x.sh\n")
    said = attune("pack", "install", str(folder), code=1)
    assert "actions/bad.yaml:2: " in said.err


def test_an_upgrade_is_previewed_refused_forced_and_taken_back(attune, make):
    attune("pack", "install", str(make("moved", parameters={"name": {"type": "string"}})))
    attune(
        "rule", "create", "moved.mine", "--trigger", "core.intervaltimer", "--trigger-param", "unit=hours",
        "--trigger-param", "interval=9", "--action", "moved.greet", "--param", "name=x",
    )  # fmt: skip
    newer = str(make("moved", version="2.0.0", parameters={"nome": {"type": "string"}}))
    for arguments in (["preview", newer], ["install", newer, "--dry-run"]):
        said = attune("pack", *arguments, code=1)
        assert "changed  actions  moved.greet" in said.out and "moved.mine" in said.out
        assert "would be refused" in said.err
    plan = attune.json("pack", "preview", newer, code=1)["result"]["plan"]
    assert [found["ref"] for found in plan["breaks"]] == ["moved.mine"]
    assert "moved.mine" in attune("pack", "install", newer, code=1).err
    assert "2.0.0 is installed in place of 1.0.0" in attune("pack", "install", newer, "--force").err
    assert [row["version"] for row in attune.json("pack", "versions", "moved")] == ["2.0.0", "1.0.0"]
    assert "Pack moved is back at 1.0.0." in attune("pack", "rollback", "moved").err
    assert attune.json("pack", "versions", "moved")[1]["is_current"] is True
    assert "2.0.0" in attune("pack", "rollback", "moved", "--to", "2.0.0", "--force").err

    said = attune("pack", "uninstall", "moved", code=1)
    assert "moved.mine" in said.err
    attune("rule", "delete", "moved.mine")
    attune("pack", "uninstall", "moved")
    attune("pack", "show", "moved", code=3)
    assert "core" in attune("pack", "uninstall", "core", code=1).err


def test_a_git_repository_gives_its_tag_and_its_update(attune, make):
    folder = make("cloned")
    git = partial(subprocess.run, cwd=folder, check=True, capture_output=True, env=attune.env | GIT)
    git(["git", "init", "-q", "-b", "main"])
    git(["git", "add", "."])
    git(["git", "commit", "-q", "-m", "one"])
    git(["git", "tag", "v1"])
    attune("pack", "install", f"git+{folder}@main")
    make("cloned", version="1.1.0")
    git(["git", "commit", "-q", "-a", "-m", "two"])
    assert "1.1.0 is installed in place of 1.0.0" in attune("pack", "update", "cloned").err
    assert "nothing is changed" in attune("pack", "install", f"git+{folder}", "--ref", "main").err
    assert attune.json("pack", "installs", "--pack", "cloned", "-n", "1")[0]["pack_version"] == "1.1.0"


GIT = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


@pytest.fixture
def served(tmp_path):
    """The address of a plain web server over the folder `public`."""
    (tmp_path / "public").mkdir()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "public"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_an_index_of_ones_own_is_a_registry(attune, make, tmp_path, served):
    make("listed", description="Something to be found", tags=["gold"])
    attune("pack", "index", "build", str(tmp_path / "packs"), "--to", str(tmp_path / "public"), "--name", "Ours")
    made = attune.json("pack", "index", "add", f"{served}/index.json", "--name", "Ours")
    assert "Ours" in attune("pack", "index", "list").out
    assert [row["pack"]["ref"] for row in attune.json("pack", "search", "found")] == ["listed"]
    assert "No packs found." in attune("pack", "search", "nowhere to be seen").err
    shown = attune("pack", "info", "listed").out
    assert "Something to be found" in shown and "greet" in shown
    attune("pack", "info", "unlisted", code=3)
    attune("pack", "install", "listed@1.0.0")
    assert "installed" in attune("pack", "info", "listed").out
    assert "unlisted" in attune("pack", "install", "unlisted", code=1).err
    make("listed", version="1.2.0")
    attune("pack", "index", "build", str(tmp_path / "packs"), "--to", str(tmp_path / "public"))
    attune("pack", "index", "refresh", str(made["id"]))
    assert "1.2.0 is installed in place of 1.0.0" in attune("pack", "update", "listed").err
    attune("pack", "index", "delete", str(made["id"]))
    assert attune.json("pack", "index", "list") == []


def test_a_configuration_is_set_by_its_schema_checked_and_unset(attune, make):
    schema = {"greeting": {"type": "string", "default": "Hi"}, "limit": {"type": "integer"}}
    schema["token"] = {"type": "string", "secret": True}
    attune("pack", "install", str(make("tuned", conf_schema=schema)))
    assert "Hi" in attune("pack", "config", "get", "tuned").out
    attune("pack", "config", "set", "tuned", "limit=3", "token=geheim")
    attune("pack", "config", "set", "tuned", "greeting=Salut")
    found = attune.json("pack", "config", "get", "tuned")
    assert found["config"] == {"greeting": "Salut", "limit": 3, "token": "********"}
    assert attune("pack", "config", "get", "tuned", "greeting").out == "Salut\n"
    assert "whole number" in attune("pack", "config", "set", "tuned", "limit=many", code=2).err
    assert "nope" in attune("pack", "config", "set", "tuned", "nope=1", code=1).err
    attune("pack", "config", "validate", "tuned", "limit=4")
    said = attune("pack", "config", "validate", "tuned", "--file", "-", stdin="limit: many\n", code=1)
    assert "limit: " in said.err
    attune("pack", "config", "set", "tuned", "--unset", "greeting")
    assert attune.json("pack", "config", "get", "tuned")["effective_config"]["greeting"] == "Hi"


def test_an_installation_can_be_looked_at_afterwards(attune, make):
    number = str(attune.json("pack", "install", str(make("seen")))["install_id"])
    assert "ok   one" in attune("pack", "installs", number).out
    assert "is installed" in attune("pack", "installs", number, "--follow").err
    attune("pack", "installs", "999999", code=3)
    attune("pack", "installs", "999999", "--follow", code=3)


def test_an_environment_is_built_when_asked_for(attune, make):
    attune("pack", "install", str(make("built")))
    assert "What pack built needs is built." in attune("pack", "build", "built").err


@pytest.mark.parametrize("source", ["./nowhere", "/no/such.tgz", "~/nothing/here"])
def test_what_is_not_here_cannot_be_sent(attune, source):
    assert "cannot be read" in attune("pack", "install", source, code=2).err


def test_a_folder_that_is_no_pack_is_not_sent(attune, tmp_path):
    assert "pack.yaml is not in it" in attune("pack", "upload", str(tmp_path), code=2).err
    assert "sent as it is" in attune("pack", "install", str(tmp_path), "--ref", "v1", code=2).err


# Packing -------------------------------------------------------------------------------------------------------------
def test_the_same_files_are_the_same_bytes_and_nothing_of_this_machine_comes_along(make):
    folder = make("same")
    for name in (".git/config", "node_modules/x/index.js", "actions/__pycache__/a.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    (folder / "actions" / "greet.sh").chmod(0o700)
    name, first = opened(str(folder))
    (folder / "pack.yaml").touch()
    _, second = opened(f"{folder}/")
    assert name == "same.tar.gz" and first.read() == second.read()
    first.seek(0)
    with tarfile.open(fileobj=first) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == [
        "same/actions/greet.sh", "same/actions/greet.yaml", "same/pack.yaml", "same/tests/run.sh",
    ]  # fmt: skip
    assert {(member.uid, member.gid, member.mtime, member.uname) for member in members} == {(0, 0, 0, "")}
    assert [member.mode for member in members] == [0o755, 0o644, 0o644, 0o644]


def test_a_link_is_not_packed(attune, make):
    folder = make("linked")
    (folder / "secret").symlink_to("/etc/passwd")
    said = attune("pack", "install", str(folder), code=1)
    assert f"{folder}/secret is a link" in said.err


def test_an_upload_to_a_server_that_hangs_up_is_an_error_and_no_traceback(offline, make):
    class HangsUp(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.connection.close()

    server = http.server.HTTPServer(("127.0.0.1", 0), HangsUp)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    said = offline("pack", "install", str(make("lost")), ATTUNE_API_URL=url, code=5)
    assert "cannot be reached" in said.err
    server.shutdown()
    server.server_close()
