"""Actions in containers: what the engine is asked, what cannot be said, and that nothing is left running."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from apps.executions import services
from apps.executions.errors import EnvironmentRefused, IsolationUnavailable
from apps.executions.isolation import engines
from apps.executions.isolation.containers import Box, Engine, command, variables
from apps.executions.models import Execution, Status
from apps.packs.loading import load_pack
from apps.packs.models import Action
from attune.lib import images
from tests.conftest import until, write_pack
from tests.executions.engines import IMAGE, StandIn, find_podman

pytestmark = pytest.mark.embedded_only
PODMAN = find_podman()
BOX = Box(
    name="attune-12-1-x",
    image="tools/jq:1.7",
    script="/packs/demo/actions/a.sh",
    pack="/packs/demo",
    scratch="/data/tmp/execution-12-1",
    user=(65534, 65534),
    limits={"memory_mb": 64, "open_files": 100},
    network="bridge",
    pull="never",
)
DOCKER = Engine("docker", "/usr/bin/docker", {})


# The command line -----------------------------------------------------------------------------------------------------
def test_what_the_engine_is_asked_is_all_of_this_and_nothing_else():
    assert command(DOCKER, BOX, names=["ATTUNE_B", "ATTUNE_A"], variables_file="/data/v") == [
        *["/usr/bin/docker", "run", "--rm", "-i", "--name=attune-12-1-x", "--init", "--pull=never"],
        *["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--log-driver=none"],
        *["--user=65534:65534", "--network=bridge", "--pids-limit=512", "--memory=64m", "--memory-swap=64m"],
        *["--ulimit=nofile=100:100", "--tmpfs=/tmp:rw,nosuid,nodev,mode=1777,size=67108864"],
        "--mount=type=bind,source=/packs/demo,target=/packs/demo,readonly",
        "--mount=type=bind,source=/data/tmp/execution-12-1,target=/data/tmp/execution-12-1",
        *["--workdir=/packs/demo", "--env=TMPDIR=/data/tmp/execution-12-1", "--env=HOME=/data/tmp/execution-12-1"],
        *["--env-file=/data/v", "--env=ATTUNE_A", "--env=ATTUNE_B"],
        *["--entrypoint=/packs/demo/actions/a.sh", "tools/jq:1.7"],
    ]


def test_an_action_without_the_network_has_none():
    assert "--network=none" in command(DOCKER, replace(BOX, network=""), names=[], variables_file="/v")


def test_podman_is_not_asked_for_more_than_it_may_give():
    podman = Engine("podman", "podman", {"nofile": 50, "nproc": 70}, keeps_id=True)
    argv = command(podman, BOX, names=[], variables_file="/v")
    assert {"--ulimit=nofile=50:50", "--ulimit=nproc=70:70", "--userns=keep-id"} <= set(argv)


def test_what_a_client_might_obey_does_not_get_into_its_environment():
    env = {"ATTUNE_X": "1\n2", "DOCKER_HOST": "tcp://evil", "LD_PRELOAD": "/x", "PATH": "/evil", "HOME": "/evil"}
    given = variables(env)
    assert given.inherited == {"ATTUNE_X": "1\n2"}
    assert given.filed == "DOCKER_HOST=tcp://evil\nLD_PRELOAD=/x\n"


def test_a_value_that_would_be_two_variables_is_refused():
    with pytest.raises(EnvironmentRefused, match="NOTE has more than one line"):
        variables({"NOTE": "a\nLD_PRELOAD=/x"})


@pytest.mark.parametrize("path", ["/a,readonly=false", "/a b", '/a"b', "/a\n"])
def test_a_folder_whose_name_would_say_more_than_a_place_is_not_mounted(path):
    with pytest.raises(IsolationUnavailable, match="without commas"):
        command(DOCKER, replace(BOX, pack=path), names=[], variables_file="/v")


DIGEST = f"sha256:{'0a' * 32}"
NO_IMAGES = [
    *["--privileged", "-v", "-v=/:/h", "--pid=host:1", "a --privileged:1", "a:1\n", "a:1 b", "", ":1", "/etc:1", "A:1"],
    *[
        "dir:x",
        "oci:x",
        "docker-archive:x",
        "docker://a:1",
        "oci:/etc:1",
        "../a:1",
        "a/../b:1",
        "a:-1",
        "a:1@sha256:00",
    ],
    *["a:1@md5:" + "0" * 64, "a:" + "1" * 200, "a" * 500 + ":1", "$(id):1", "a", "example.org/a", "example.org:5000/a"],
]


@pytest.mark.parametrize("image", NO_IMAGES)
def test_what_is_not_the_name_of_one_certain_image_is_refused(image):
    assert images.fault_of(image)
    with pytest.raises(IsolationUnavailable):
        command(DOCKER, replace(BOX, image=image), names=[], variables_file="/v")


@pytest.mark.parametrize("image", ["alpine:3", "example.org:5000/a/b_c:1.2-x", f"a@{DIGEST}", f"a.org/a:1@{DIGEST}"])
def test_a_name_with_a_tag_or_a_digest_is_an_image(image):
    assert images.fault_of(image) == ""


# What a pack may say --------------------------------------------------------------------------------------------------
def faults(tmp_path, text: str, **more: str) -> str:
    files = {"actions/a.yaml": f"ref: demo.a\nentry_point: a.sh\n{text}", "actions/a.sh": "#!/bin/sh\n", **more}
    return "\n".join(map(str, load_pack(write_pack(tmp_path / "demo", "demo", files)).findings.faults))


@pytest.mark.parametrize(
    "asked",
    [
        *["privileged: true", "options: [--privileged]", "volumes: ['/:/h']", "mounts: []", "pid: host", "user: root"],
        *["cap_add: [SYS_ADMIN]", "devices: [/dev/sda]", "docker: {privileged: true}", "container: {}", "ipc: host"],
    ],
)
def test_what_would_weaken_a_container_is_refused_with_file_and_line(tmp_path, known_runtimes, asked):
    name = asked.split(":")[0]
    found = faults(tmp_path, f"runner_type: docker\nimage: alpine:3\n{asked}\n")
    assert found.startswith(f"actions/a.yaml:5: `{name}` is nothing that can be said of a container")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("runner_type: docker\n", "actions/a.yaml:1: `image` is missing"),
        ("runner_type: docker\nimage: alpine\n", "actions/a.yaml:4: `image`: 'alpine' says neither a tag nor a digest"),
        ("runner_type: docker\nimage: '--privileged'\n", "actions/a.yaml:4: `image`: '--privileged' is not the name"),
        ("runner_type: docker\nimage: [a, b]\n", "actions/a.yaml:4: `image` must be text"),
        ("image: alpine:3\n", "actions/a.yaml:3: an image is for `runner_type: docker`"),
        ("runner_type: docker\nimage: alpine:3\nsandbox: none\n", "actions/a.yaml:5: `sandbox` means nothing"),
        ("runner_type: docker\nimage: alpine:3\nruntime_version: '3'\n", "actions/a.yaml:5: `runtime_version` means"),
    ],
)
def test_what_is_wrong_with_a_container_is_said_with_file_and_line(tmp_path, known_runtimes, text, words):
    assert words in faults(tmp_path, text)


def test_a_sensor_is_not_run_in_a_container(tmp_path, known_runtimes):
    sensor = "ref: demo.s\nentry_point: s.sh\nrunner_type: docker\ntrigger_types: [demo.t]\n"
    found = faults(tmp_path, "", **{"sensors/s.yaml": sensor, "triggers/t.yaml": "ref: demo.t\n"})
    assert found == "sensors/s.yaml:3: only actions run in containers; choose another runner for a sensor"


# Runs -----------------------------------------------------------------------------------------------------------------
# Podman is one of the engines where it can run a container at all: the tests that need it are not there elsewhere.
@pytest.fixture(params=["stand-in", *(["podman"] if PODMAN else [])])
def engine(request, tmp_path, settings, monkeypatch):
    return _use(request.param, tmp_path, settings, monkeypatch)


@pytest.fixture
def stand_in(tmp_path, settings, monkeypatch):
    return _use("stand-in", tmp_path, settings, monkeypatch)


def _use(which, tmp_path, settings, monkeypatch):
    engines._works.clear()
    if which == "stand-in":
        used = StandIn(tmp_path / "bin")
        monkeypatch.setenv("PATH", f"{used.folder}{os.pathsep}{os.environ['PATH']}")
    else:
        used = PODMAN
        for name, value in PODMAN.environment.items():
            monkeypatch.setenv(name, value)
    settings.ATTUNE_CONTAINERS = used.kind
    return used


@pytest.fixture
def contained(make_pack):
    """An action of one script for a container: `contained("echo hi", timeout=1)`."""

    def make(script: str, **fields) -> Action:
        given = {"ref": "demo.act", "entry_point": "act.sh", "runner_type": "docker", "image": IMAGE, "network": False}
        given |= {"parameter_delivery": "stdin", "parameter_format": "json"} | fields
        pack = make_pack("demo", {"actions/act.yaml": given, "actions/act.sh": f"#!/bin/sh\n{script}\n"})
        (pack.folder / "actions" / "act.sh").chmod(0o755)
        return Action.objects.select_related("pack", "runtime").get(ref="demo.act")

    return make


def test_an_action_runs_in_its_container_as_it_would_anywhere(contained, run, engine):
    script = 'cat; echo "$ATTUNE_ACTION $NOTE" >&2; echo x > "$TMPDIR/x"; cat "$HOME/x" >&2; [ -r pack.yaml ]; exit 3'
    execution = run(contained(script), {"a": [1]}, env_vars={"NOTE": "C"})
    assert (execution.status, execution.exit_code) == (Status.FAILED, 3), execution.error
    assert (execution.stdout, execution.stderr) == ('{"a":[1]}\n', "demo.act C\nx\n")
    assert engine.left() == []


@pytest.mark.parametrize("delivery", ["env", "file"])
def test_every_delivery_gets_into_a_container(contained, run, engine, delivery):
    script = 'echo "$ATTUNE_ACTION_WORD"; [ -z "$ATTUNE_PARAMETER_FILE" ] || cat "$ATTUNE_PARAMETER_FILE"'
    action = contained(script, parameter_delivery=delivery, parameters={"word": {"type": "string"}})
    execution = run(action, {"word": "two\nlines $HOME"})
    assert execution.status == Status.COMPLETED, (execution.error, execution.stderr)
    assert execution.stdout.strip() == {"env": "two\nlines $HOME", "file": '{"word":"two\\nlines $HOME"}'}[delivery]


def test_a_secret_is_masked_and_never_on_the_command_line(contained, run, stand_in):
    action = contained('cat; echo "token $ATTUNE_API_TOKEN"', parameters={"pin": {"type": "string", "secret": True}})
    execution = run(action, {"pin": "s3cr3t-s3cr3t"})
    [asked] = stand_in.asked("run")
    token = asked["env"]["ATTUNE_API_TOKEN"]
    assert execution.status == Status.COMPLETED and token
    for secret in (token, "s3cr3t-s3cr3t"):
        assert secret not in json.dumps(asked["argv"]) and secret not in execution.stdout


def test_a_callers_variables_reach_the_program_but_not_the_client(contained, run, stand_in):
    action = contained('echo "$DOCKER_HOST"', env_vars=["DOCKER_HOST"])
    execution = run(action, env_vars={"DOCKER_HOST": "tcp://elsewhere"})
    assert execution.stdout == "tcp://elsewhere\n", (execution.error, execution.stderr)
    assert all("DOCKER_HOST" not in asked["env"] for what in ("info", "run") for asked in stand_in.asked(what))


def test_an_ordinary_end_costs_no_further_question(contained, run, stand_in):
    assert run(contained("exit 0")).status == Status.COMPLETED
    assert run(contained("exit 9")).exit_code == 9
    assert len(stand_in.asked("info")) == 1 and not stand_in.asked("kill") and not stand_in.asked("rm")


def test_a_run_that_is_ended_early_has_its_container_removed_by_name(contained, run, stand_in):
    run(contained("trap '' TERM; while :; do sleep 0.1; done", timeout=1))
    [name] = [part.removeprefix("--name=") for part in stand_in.asked("run")[0]["argv"] if part.startswith("--name=")]
    until(lambda: stand_in.asked("rm"), "the last question")
    assert [asked["argv"] for asked in stand_in.asked("kill")] == [["kill", name]]
    assert [asked["argv"] for asked in stand_in.asked("rm")] == [["rm", "--force", name]]


TRAP = "trap 'echo said goodbye; exit 7' TERM; setsid sleep 1000 & touch $TMPDIR/here; while :; do sleep 0.1; done"


def test_at_its_time_limit_it_may_say_goodbye_and_its_container_is_gone(contained, run, engine):
    execution = run(contained(TRAP, timeout=2))
    assert (execution.status, execution.exit_code) == (Status.TIMEOUT, 7), execution.stderr
    assert "said goodbye" in execution.stdout
    until(lambda: not engine.left(), "the end of its container")


def test_one_that_minds_no_signal_is_killed_with_its_container(contained, run, engine, settings):
    settings.ATTUNE_KILL_GRACE = 0.5
    execution = run(contained("trap '' TERM; setsid sleep 1000 & while :; do sleep 0.1; done", timeout=2))
    assert execution.status == Status.TIMEOUT
    until(lambda: not engine.left(), "the end of its container")


def test_it_is_cancelled(contained, workers, engine, settings):
    execution = services.request_execution(contained(TRAP), parameters={})
    until((settings.ATTUNE_TMP_DIR / f"execution-{execution.pk}-1" / "here").exists, "its start")
    services.cancel_execution(Execution.objects.get(pk=execution.pk), actor="test")
    until(lambda: Execution.objects.get(pk=execution.pk).status == Status.CANCELLED, "its end")
    until(lambda: not engine.left(), "the end of its container")


def test_an_image_that_is_not_there_is_said_with_the_remedy(contained, run, engine):
    if isinstance(engine, StandIn):
        (engine.folder / "refuses").touch()
    execution = run(contained("true", image="localhost/attune-is-not-there:1"))
    assert execution.status == Status.FAILED
    assert "localhost/attune-is-not-there:1 is on this worker (podman pull or docker pull)" in execution.error


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("none", "ATTUNE_CONTAINERS is none"),
        ("podman", "podman is not installed"),
        ("auto", "podman is not installed; docker does not answer (no daemon here)"),
    ],
)
def test_without_a_program_for_containers_the_run_says_what_to_install(
    contained, run, settings, monkeypatch, tmp_path, setting, words
):
    engines._works.clear()
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho no daemon here >&2\nexit 1\n")
    docker.chmod(0o755)
    found = {"docker": str(docker)}
    monkeypatch.setattr(engines.shutil, "which", found.get)
    settings.ATTUNE_CONTAINERS = setting
    execution = run(contained("true"))
    assert (
        execution.status == Status.FAILED
        and words in execution.error
        and "Install podman, or docker" in execution.error
    )


def test_a_script_that_may_not_be_executed_is_said_with_the_remedy(contained, run, stand_in):
    action = contained("true")
    action.script.chmod(0o644)
    assert "chmod +x" in run(action).error and not stand_in.asked("run")


if PODMAN:

    @pytest.fixture
    def podman(tmp_path, settings, monkeypatch):
        return _use("podman", tmp_path, settings, monkeypatch)

    def test_in_a_real_container_nothing_can_be_done_that_is_not_its_own(contained, run, podman, settings):
        script = f"""
            exec 2> /dev/null
            id -u
            grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status
            touch /x && echo wrote to the image; touch pack.yaml x && echo wrote to its pack
            mount -t tmpfs none /tmp && echo mounted; [ -e {settings.BASE_DIR}/manage.py ] && echo saw Attune
            ls -d /run/podman /var/run/docker.sock && echo saw the engine; grep -vc lo: /proc/net/dev
            touch /tmp/x && echo wrote to /tmp
        """
        execution = run(contained(script))
        lines = execution.stdout.split("\n")
        assert lines[0] not in ("", "0")
        none = "0" * 16
        assert [line.split() for line in lines[1:4]] == [["CapEff:", none], ["CapBnd:", none], ["NoNewPrivs:", "1"]]
        assert lines[4:] == ["2", "wrote to /tmp", ""]  # two lines of headings, no interface but `lo`

    def test_a_real_container_ends_by_its_mark_when_nobody_is_left_to_ask_the_engine(
        contained, run, podman, settings, monkeypatch
    ):
        monkeypatch.setattr(engines.Contained, "leave", lambda self, program: None)
        settings.ATTUNE_KILL_GRACE = 0.5
        run(contained("trap '' TERM; while :; do sleep 0.1; done", timeout=2))
        until(lambda: not podman.left(), "the end of its container")
