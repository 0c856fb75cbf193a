"""Where Attune is root its actions are somebody else: they own their files, and nothing of Attune's."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from django.conf import settings as real

from apps.executions import isolation
from apps.executions.isolation import sandboxes
from apps.executions.models import Status
from apps.packs.loading import load_pack
from apps.packs.models import Action
from attune import checks
from attune.lib.confining import account, estate, here
from attune.lib.surroundings import base_environment
from tests.conftest import ROOT, write_pack

pytestmark = [
    pytest.mark.embedded_only,
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may become somebody else"),
]


@pytest.fixture
def nobody(settings):
    """Actions run as nobody; afterwards the data folder is ours again."""
    settings.ATTUNE_ACCOUNT = found = account.find("nobody")
    base_environment.cache_clear()
    isolation.prepare()
    yield found
    settings.ATTUNE_ACCOUNT = None
    base_environment.cache_clear()
    isolation.prepare()
    for name in estate.THEIRS:
        os.chown(real.ATTUNE_DATA_DIR / name, 0, 0)


@pytest.fixture
def action(known_runtimes):
    """`action("id -u")`: a shell action in a folder that everybody may read."""
    with tempfile.TemporaryDirectory(prefix="attune-open-") as name:
        Path(name).chmod(0o755)

        def make(script: str, **fields) -> Action:
            files = {"actions/a.yaml": {"ref": "demo.a", "entry_point": "a", **fields}, "actions/a": script}
            assert load_pack(write_pack(Path(name) / "demo", "demo", files)).ok
            return Action.objects.select_related("pack", "runtime").get(ref="demo.a")

        yield make


WHO = """
    id -u; id -G; echo "$USER"; grep CapEff /proc/self/status | cut -f2; cat "$ATTUNE_PARAMETER_FILE"
    touch "$TMPDIR/a" "$HOME/b" "$ATTUNE_ARTIFACTS_DIR/c" && echo fine > /dev/stdout; echo err > /dev/stderr
"""


@pytest.mark.parametrize("sandbox", ["none", "bwrap"])
def test_an_action_is_the_account_and_owns_what_it_needs(action, nobody, run, settings, sandbox):
    if sandbox == "bwrap" and not sandboxes.offer().program:
        pytest.skip("no sandbox works here")
    settings.ATTUNE_SANDBOX = sandbox
    made = action(WHO, parameter_delivery="file", parameters={"x": {"type": "string"}})
    execution = run(made, {"x": "y"})
    assert execution.status == Status.COMPLETED, (execution.error, execution.stderr)
    own = str(nobody.uid)
    assert execution.stdout.split() == [own, str(nobody.gid), "nobody", "0" * 16, '{"x":"y"}', "fine"]
    assert execution.stderr == "err\n"
    assert not list(settings.ATTUNE_TMP_DIR.glob(f"execution-{execution.pk}-*"))


def test_without_a_sandbox_it_still_can_neither_read_what_is_attunes_nor_end_the_worker(action, nobody, run):
    data = real.ATTUNE_DATA_DIR
    (data / "prize.sqlite3").write_text("rows")
    (data / "logs").mkdir(exist_ok=True)
    base_environment.cache_clear()
    tries = [f"cat {data}/prize.sqlite3", f"ls {data}", f"ls {data}/logs", f"cat /proc/{os.getpid()}/environ"]
    tries += [f"kill -0 {os.getpid()}", "kill -0 $PPID", "touch new", "cat /etc/shadow"]
    script = "\n".join(f"{line} > /dev/null 2>&1 && echo '{line}'" for line in tries) + "\ntrue"
    execution = run(action(script))
    (data / "prize.sqlite3").unlink()
    assert (execution.status, execution.stdout) == (Status.COMPLETED, "")


def test_a_fork_bomb_ends_at_its_limit(action, nobody, run):
    execution = run(action("for n in $(seq 300); do sleep 20 & done; wait", limits={"processes": 100}, timeout=30))
    assert execution.status == Status.FAILED and "limit of 100 processes" in execution.error, execution.error


def test_the_data_folder_is_divided(tmp_path, nobody):
    data = Path(tempfile.mkdtemp(prefix="attune-data-"))
    (data / "attune.sqlite3").touch(0o644)
    (data / "logs").mkdir(0o755)
    estate.divide(data, nobody)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (data, *data.iterdir())}
    assert modes[data.name] == 0o711 and modes["attune.sqlite3"] == 0o600 and modes["logs"] == 0o700
    assert modes["tmp"] == 0o711 and (data / "artifacts").stat().st_uid == nobody.uid
    subprocess.run(["rm", "-r", str(data)], check=True)


def test_a_data_folder_that_the_account_cannot_enter_is_refused_with_the_remedy(tmp_path, nobody):
    closed = tmp_path / "closed"
    (closed / "data").mkdir(parents=True)
    for folder in (tmp_path, *tmp_path.parents):
        if str(folder).startswith(tempfile.gettempdir() + os.sep):
            folder.chmod(0o755)
    closed.chmod(0o700)
    with pytest.raises(estate.AccountShutOut, match=f"run: chmod o\\+x {closed}, or put"):
        estate.divide(closed / "data", nobody)


@pytest.mark.parametrize(
    ("name", "says"), [("no-such-user", "there is no user 'no-such-user'"), ("root", "'root' is root, which is what")]
)
def test_a_user_that_cannot_be_it_stops_the_start_with_the_remedy(name, says):
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=os.environ | {"ATTUNE_RUN_AS": name},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1 and "ATTUNE_RUN_AS: " in ended.stderr and says in ended.stderr


def warnings() -> list[str]:
    return [warning.id or "" for warning in checks.actions_are_kept_apart()]


def test_the_system_check_asks_for_a_user_where_root_serves(settings):
    settings.SERVER_MODE = True
    assert warnings() == ["attune.W006"]
    settings.ATTUNE_ACCOUNT = account.find("nobody")
    assert warnings() == []


def test_the_system_check_says_why_there_is_no_sandbox(settings, monkeypatch):
    monkeypatch.setattr(sandboxes, "offer", lambda: sandboxes.Offer("", "bubblewrap is not installed"))
    assert warnings() == []
    settings.ATTUNE_SANDBOX = "auto"
    assert warnings() == ["attune.W007"]
    assert isolation.in_words() == "no sandbox: bubblewrap is not installed"


def test_a_sensors_command_is_confined_before_it_is_started(nobody, settings):
    argv = here.confined(["/bin/sh", "-c", "id -u; ulimit -n; ulimit -c; grep NoNewPrivs /proc/self/status"])
    said = subprocess.check_output(argv, text=True).split()
    assert said == [str(nobody.uid), "4096", "0", "NoNewPrivs:", "1"]
