"""Executions for real: programs are started, watched, ended, and what they did is kept."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from django.conf import settings

from apps.executions import lifecycle, logs, recovery, runner, services
from apps.executions.errors import (
    ActionDisabled,
    EnvironmentRefused,
    ExecutionOver,
    ParametersInvalid,
    PermissionSetUnknown,
)
from apps.executions.models import Execution, Status
from apps.packs import keys
from apps.packs.models import Action, Pack
from tests.conftest import until

ECHO_ENV = "jq -n env"


def test_a_run_keeps_output_result_times_and_worker(make_action, run):
    execution = run(make_action("cat; echo problem >&2"), {"a": [1, "é"]})
    assert execution.status == Status.COMPLETED
    assert json.loads(execution.result) == {"a": [1, "é"]}
    assert execution.stdout == execution.result and execution.stderr == "problem\n"
    assert execution.exit_code == 0 and execution.error == "" and execution.attempt == 1
    assert execution.duration_ms is not None and execution.started_at <= execution.finished_at and execution.worker


@pytest.mark.parametrize("delivery", ["env", "stdin", "file"])
@pytest.mark.parametrize("format", ["json", "yaml", "dotenv"])
def test_parameters_reach_the_program_in_every_delivery_and_format(make_action, run, delivery, format):
    source = {"env": 'printf %s "$ATTUNE_ACTION_WHO"', "stdin": "cat", "file": 'cat "$ATTUNE_PARAMETER_FILE"'}[delivery]
    action = make_action(
        source, parameter_delivery=delivery, parameter_format=format, parameters={"who": {"type": "string"}}
    )
    shown = run(action, {"who": "it's me"}).stdout.strip()
    expected = {"json": '{"who":"it\'s me"}', "yaml": "who: it's me", "dotenv": "who='it'\\''s me'"}[format]
    assert shown == ("it's me" if delivery == "env" else expected)


def test_the_parameter_file_is_private_and_gone_afterwards(make_action, run):
    action = make_action(
        'echo "$ATTUNE_PARAMETER_FILE"; stat -c %a "$ATTUNE_PARAMETER_FILE"', parameter_delivery="file"
    )
    path, mode = run(action, {"a": 1}).stdout.split()
    assert mode == "400" and not Path(path).exists()


def test_the_environment_holds_what_the_contract_says_and_nothing_of_the_servers(make_action, run, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "x")
    action = make_action(ECHO_ENV, output_format="json", env_vars=["PYTHONPATH"])
    found = run(
        action, {}, rule_ref="demo.rule", trigger_ref="demo.t", trace_tag="tag-1", env_vars={"DEBUG": "1"}
    ).result
    assert found["ATTUNE_ACTION"] == "demo.act" and found["ATTUNE_PACK_REF"] == "demo"
    assert found["ATTUNE_RULE"] == "demo.rule" and found["ATTUNE_TRIGGER"] == "demo.t"
    assert found["ATTUNE_TRACE_TAG"] == "tag-1" and found["DEBUG"] == "1"
    assert found["ATTUNE_PARAMETER_DELIVERY"] == "stdin" and found["ATTUNE_PARAMETER_FORMAT"] == "json"
    assert found["ATTUNE_API_URL"] == settings.ATTUNE_API_URL and found["ATTUNE_API_TOKEN"] == "********"
    assert found["PWD"] == str(action.pack.folder) and Path(found["ATTUNE_ARTIFACTS_DIR"]).is_dir()
    allowed = {
        "ATTUNE_ACTION", "ATTUNE_PACK_REF", "ATTUNE_EXEC_ID", "ATTUNE_API_URL", "ATTUNE_API_TOKEN", "ATTUNE_RULE",
        "ATTUNE_TRIGGER", "ATTUNE_PARAMETER_DELIVERY", "ATTUNE_PARAMETER_FORMAT", "ATTUNE_ARTIFACTS_DIR",
        "ATTUNE_TRACE_TAG", "ATTUNE_IDEMPOTENCY_KEY", "PATH", "HOME", "USER", "PWD", "TMPDIR", "LANG", "DEBUG",
        "SHLVL", "_", "OLDPWD",
    }  # fmt: skip
    assert set(found) <= allowed
    assert str(Path(os.sys.prefix) / "bin") not in found["PATH"].split(":")


def test_without_a_rule_its_variables_are_absent(make_action, run):
    found = run(make_action(ECHO_ENV, output_format="json")).result
    assert "ATTUNE_RULE" not in found and "ATTUNE_TRIGGER" not in found and "ATTUNE_TRACE_TAG" not in found


def test_a_python_action_cannot_import_the_server(make_action, run):
    script = (
        "import importlib.util, json\n"
        "print(json.dumps([bool(importlib.util.find_spec(name)) for name in ('django', 'attune', 'apps')]))"
    )
    assert run(make_action(script, runner_type="python", output_format="json")).result == [False, False, False]


def test_an_action_that_fails_says_why(make_action, run):
    execution = run(make_action("echo partial; echo first >&2; echo 'no route to host' >&2; exit 7"))
    assert execution.status == Status.FAILED and execution.exit_code == 7
    assert execution.error == "no route to host" and execution.stdout == "partial\n"


def test_an_action_that_says_json_and_prints_garbage_fails(make_action, run):
    execution = run(make_action("echo this is not json", output_format="json"))
    assert execution.status == Status.FAILED and "not JSON" in execution.error and "not json" in execution.stdout


def test_a_crash_by_a_signal_is_told(make_action, run):
    execution = run(make_action("kill -SEGV $$"))
    assert execution.status == Status.FAILED and execution.exit_code == 139 and "SIGSEGV" in execution.error


def test_a_hanging_action_is_ended_with_all_it_started(make_action, run, tmp_path):
    script = f"""
        (sleep 300 & echo $! > {tmp_path}/child)
        setsid sleep 301 & echo $! > {tmp_path}/stray
        trap '' TERM
        sleep 302"""
    execution = run(make_action(script), timeout=1)
    assert execution.status == Status.TIMEOUT and "time limit of 1 s" in execution.error
    for name in ("child", "stray"):
        pid = int((tmp_path / name).read_text())
        until(lambda pid=pid: not alive(pid), f"{name} to be dead")


def test_a_background_child_that_holds_the_pipe_does_not_hold_up_the_end(make_action, run, tmp_path):
    began = time.monotonic()
    execution = run(make_action(f"sleep 120 & echo $! > {tmp_path}/pid; echo done"))
    assert execution.status == Status.COMPLETED and execution.stdout == "done\n"
    assert time.monotonic() - began < 60
    until(lambda: not alive(int((tmp_path / "pid").read_text())), "the background child to be dead")


def test_a_flood_of_output_is_cut_and_counted(make_action, run, settings):
    settings.ATTUNE_LOG_LIMIT = 200_000
    execution = run(make_action("head -c 5000000 /dev/zero | tr '\\0' x; echo; echo the-end"))
    assert execution.status == Status.COMPLETED and execution.stdout_bytes == 5_000_009
    assert (
        len(execution.stdout) < 100_000
        and execution.stdout.startswith("xxx")
        and execution.stdout.endswith("the-end\n")
    )
    log = logs.read(execution.pk, "stdout", limit=10_000_000)
    assert len(log) < 201_000 and b"cut here" in log


def test_structured_output_beyond_the_limit_is_refused_not_guessed(make_action, run, settings):
    settings.ATTUNE_LOG_LIMIT = 10_000
    execution = run(make_action("printf '\"'; head -c 50000 /dev/zero | tr '\\0' x; printf '\"'", output_format="json"))
    assert execution.status == Status.FAILED and "longer than what is kept" in execution.error


def test_binary_output_and_nul_are_kept_readable(make_action, run):
    execution = run(make_action("printf 'a\\000b\\377\\376c'"))
    assert execution.status == Status.COMPLETED and execution.result == "a\ufffdb\ufffd\ufffdc"


def test_a_program_that_closes_its_output_is_waited_for(make_action, run, tmp_path):
    execution = run(make_action(f"exec >&- 2>&-; sleep 0.5; echo late > {tmp_path}/late"))
    assert execution.status == Status.COMPLETED and (tmp_path / "late").exists()


def test_output_can_be_read_while_it_runs(make_action, workers):
    action = make_action("echo early; read -r _ < <(sleep 60)")
    execution = services.request_execution(action, parameters={})
    until(lambda: b"early" in logs.read(execution.pk, "stdout"), "the first line")
    assert Execution.objects.get(pk=execution.pk).status == Status.RUNNING
    services.cancel_execution(execution, actor="test")
    until(lambda: Execution.objects.get(pk=execution.pk).is_final)


def test_a_running_execution_can_be_cancelled(make_action, workers, tmp_path):
    execution = services.request_execution(make_action(f"echo $$ > {tmp_path}/pid; sleep 300"), parameters={})
    pid = until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
    assert services.cancel_execution(execution, actor="anna").status == Status.CANCELING
    until(lambda: Execution.objects.get(pk=execution.pk).is_final)
    execution.refresh_from_db()
    assert execution.status == Status.CANCELLED and not alive(int(pid))
    with pytest.raises(ExecutionOver, match="already over"):
        services.cancel_execution(execution, actor="anna")


def test_a_waiting_execution_is_cancelled_at_once(make_action, db):
    execution = services.request_execution(make_action(), parameters={})
    services.cancel_execution(execution, actor="anna")
    execution.refresh_from_db()
    assert execution.status == Status.CANCELLED and "anna" in execution.error
    assert lifecycle.claim(execution.pk, worker="w") is None


def test_only_one_of_many_claims_wins(make_action, db):
    execution = services.request_execution(make_action(), parameters={})
    assert [lifecycle.claim(execution.pk, worker=f"w{n}") is not None for n in range(5)] == [True] + [False] * 4


def test_an_old_attempt_cannot_write_over_what_is_over(make_action, db):
    execution = services.request_execution(make_action(), parameters={})
    stale = lifecycle.claim(execution.pk, worker="w1")
    assert lifecycle.abandon(Execution.objects.get(pk=execution.pk), why="dead")
    assert not lifecycle.finish(stale, to=Status.COMPLETED, result=1)
    assert Execution.objects.get(pk=execution.pk).status == Status.ABANDONED


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({}, "count"),
        ({"count": "three"}, "count"),
        ({"count": 1, "colour": "red"}, "colour"),
        ({"count": None}, "count"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_is_queued(make_action, parameters, named):
    action = make_action(parameters={"count": {"type": "integer", "required": True}, "name": {"type": "string"}})
    with pytest.raises(ParametersInvalid, match=named):
        services.request_execution(action, parameters=parameters)
    assert not Execution.objects.exists()


def test_defaults_are_filled_in(make_action, run):
    action = make_action(parameters={"name": {"type": "string", "default": "world", "required": True}})
    assert run(action).parameters == {"name": "world"}


def test_a_disabled_action_or_pack_is_refused(make_action):
    action = make_action()
    Action.objects.filter(pk=action.pk).update(enabled=False)
    with pytest.raises(ActionDisabled, match=r"Action demo\.act is disabled"):
        services.request_execution(Action.objects.get(pk=action.pk), parameters={})
    Action.objects.filter(pk=action.pk).update(enabled=True)
    Pack.objects.update(enabled=False)
    with pytest.raises(ActionDisabled, match="Pack demo is disabled"):
        services.request_execution(Action.objects.get(pk=action.pk), parameters={})


def test_environment_variables_that_hijack_are_refused(make_action):
    with pytest.raises(EnvironmentRefused, match="BASH_ENV"):
        services.request_execution(make_action(), parameters={}, env_vars={"BASH_ENV": "/tmp/x"})


def test_secret_parameters_reach_the_program_and_nobody_else(make_action, run):
    action = make_action(
        'cat; echo seen by >&2; jq -r .password <<<"$(cat /dev/null)" >&2 || true',
        output_format="json",
        parameters={"password": {"type": "string", "secret": True}, "user": {"type": "string"}},
    )
    execution = run(action, {"password": "hunter2-long", "user": "anna"})
    assert execution.result == {"password": "********", "user": "anna"}
    assert execution.parameters == {"password": "********", "user": "anna"}
    row = json.dumps({f.name: str(getattr(execution, f.name)) for f in Execution._meta.concrete_fields})
    assert "hunter2-long" not in row and b"hunter2-long" not in logs.read(execution.pk, "stdout")


def test_a_secret_that_is_shorter_or_longer_than_its_mask_spoils_no_document(make_action, run, settings):
    parameters = {"pin": {"type": "string", "secret": True}}
    action = make_action("cat", output_format="json", parameters=parameters)
    execution = run(action, {"pin": "742"})
    assert execution.status == Status.COMPLETED and execution.result == {"pin": "********"}
    settings.ATTUNE_LOG_LIMIT = 1000
    execution = run(action, {"pin": "x" * 2000})
    assert execution.status == Status.FAILED and "longer than what is kept" in execution.error


def test_keys_an_action_names_follow_the_parameters_and_are_masked(make_action, run):
    action = make_action("cat", secrets=["demo.credentials"])
    keys.write(
        ref="demo.credentials", owner_type="pack", owner_ref="demo", value={"token": "tok-1234567"}, actor="test"
    )
    text = run(action, {"a": 1}).stdout
    assert text == '{"a":1}\n---ATTUNE_PARAMS_END---\n{"demo.credentials":{"token":"********"}}\n'


def test_a_key_that_is_missing_is_named(make_action, run):
    execution = run(make_action("cat", secrets=["demo.credentials"]))
    assert execution.status == Status.FAILED and "demo.credentials" in execution.error


def test_a_failed_run_is_tried_again_as_a_new_execution(make_action, run, tmp_path):
    action = make_action(f"echo x >> {tmp_path}/tries; exit 1", max_retries=2)
    first = run(action)
    second = Execution.objects.get(original=first)
    assert second.status == Status.SCHEDULED and second.retry_number == 1 and second.run_after is not None
    assert not Execution.objects.filter(pk=second.pk, status=Status.RUNNING).exists()
    Execution.objects.filter(pk=second.pk).update(run_after=second.created)
    services.wake_due()
    until(lambda: Execution.objects.filter(retry_number=2).exists(), "the third try")


def test_a_rerun_is_a_new_execution_that_points_back(make_action, run, workers):
    first = run(make_action("cat", parameters={"p": {"type": "string", "secret": True}}), {"p": "secret-value"})
    again = services.rerun_execution(first, actor="anna")
    until(lambda: Execution.objects.get(pk=again.pk).is_final)
    again.refresh_from_db()
    assert again.original == first and again.pk != first.pk and again.stdout == '{"p":"********"}\n'


def test_what_runs_in_the_name_of_a_dead_worker_is_abandoned(make_action, db):
    execution = services.request_execution(make_action(), parameters={})
    lifecycle.claim(execution.pk, worker="gone:1:abc")
    assert recovery.settle_orphans() == 1
    execution.refresh_from_db()
    assert execution.status == Status.ABANDONED and "gone:1:abc" in execution.error


def test_a_nudge_that_was_lost_is_made_good_by_the_sweep(make_action, workers):
    action = make_action("echo found")
    execution = Execution.objects.create(action=action, action_ref=action.ref, pack_ref="demo")
    assert services.wake_due() == 1
    until(lambda: Execution.objects.get(pk=execution.pk).status == Status.COMPLETED)


def test_a_doubled_nudge_runs_once(make_action, flow, tmp_path):
    action = make_action(f"echo x >> {tmp_path}/ledger; sleep 0.2")
    with flow():
        execution = services.request_execution(action, parameters={})
        services.nudge([execution] * 8)
    assert (tmp_path / "ledger").read_text() == "x\n"


def test_a_script_that_is_missing_is_named(make_action, run):
    action = make_action("echo hi")
    action.script.unlink()
    execution = run(action)
    assert execution.status == Status.FAILED and "act.sh" in execution.error


def test_a_native_program_that_is_not_executable_is_named(make_pack, run):
    make_pack(
        "demo",
        {
            "actions/tool.yaml": {"ref": "demo.tool", "runner_type": "native", "entry_point": "tool"},
            "actions/tool": "#!/bin/sh\necho hi",
        },
    )
    execution = run(Action.objects.select_related("pack", "runtime").get(ref="demo.tool"))
    assert execution.status == Status.FAILED and "tool" in execution.error and "chmod" in execution.error


def test_a_native_text_without_an_interpreter_is_named_with_the_remedy(make_pack, run):
    pack = make_pack(
        "demo",
        {
            "actions/tool.yaml": {"ref": "demo.tool", "runner_type": "native", "entry_point": "tool"},
            "actions/tool": "echo hi",
        },
    )
    (pack.folder / "actions" / "tool").chmod(0o755)
    execution = run(Action.objects.select_related("pack", "runtime").get(ref="demo.tool"))
    assert execution.status == Status.FAILED and "#!" in execution.error and "actions/tool" in execution.error


def test_a_permission_set_that_is_not_here_is_refused_by_name(make_action, run):
    action = make_action("echo ran", default_execution_permission_set_refs=["privileged"])
    with pytest.raises(PermissionSetUnknown, match=r"demo\.act .* privileged"):
        services.request_execution(action, parameters={})
    assert run(action, permission_set_refs=["standard"]).status == Status.COMPLETED
    with pytest.raises(PermissionSetUnknown, match="admin"):
        services.request_execution(make_action(), parameters={}, permission_set_refs=["standard", "admin"])


def test_the_time_limit_is_the_requests_else_the_actions_else_the_smaller_of_packs_and_default(settings):
    def limit(*, asked: int | None, of_action: int | None, of_pack: object, default: int = 600) -> float:
        settings.ATTUNE_DEFAULT_TIMEOUT = default
        pack = Pack(ref="demo", config={} if of_pack is None else {"max_action_timeout": of_pack})
        return runner.timeout_of(Execution(timeout=asked), Action(pack=pack, timeout=of_action))

    assert limit(asked=5, of_action=7, of_pack=3) == 5
    assert limit(asked=None, of_action=7, of_pack=3) == 7
    assert limit(asked=None, of_action=None, of_pack=3) == 3
    assert limit(asked=None, of_action=None, of_pack=900) == 600
    assert limit(asked=None, of_action=None, of_pack=None) == 600
    for useless in ("3", 0, -1, None):
        assert limit(asked=None, of_action=None, of_pack=useless) == 600


def test_a_small_yaml_that_stands_for_a_huge_value_costs_nothing(make_action, run):
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    lines += [f"{b}: &{b} [{','.join(['*' + a] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    execution = run(make_action("cat <<'END'\n" + "\n".join(lines) + "\nEND\n", output_format="yaml"))
    assert execution.status == Status.FAILED and "make it smaller" in execution.error


def test_json_nested_beyond_reason_fails_in_words(make_action, run):
    script = "printf '[%.0s' {1..800}; printf ']%.0s' {1..800}"
    execution = run(make_action(script, output_format="json"))
    assert execution.status == Status.FAILED and "nested more than 100 levels" in execution.error


def test_many_executions_at_once_all_come_to_their_end(make_action, flow):
    action = make_action("echo $ATTUNE_EXEC_ID")
    with flow(patience=90):
        asked = [services.request_execution(action, parameters={}) for _ in range(40)]
    for execution in asked:
        execution.refresh_from_db()
        assert execution.stdout.strip() == str(execution.pk)


def test_a_fork_bomb_of_short_children_does_not_outlive_its_time(make_action, run, tmp_path):
    script = f"for i in 1 2 3 4 5 6 7 8; do (while :; do sleep 0.5; done) & echo $! >> {tmp_path}/pids; done; wait"
    assert run(make_action(script), timeout=1).status == Status.TIMEOUT
    for pid in (tmp_path / "pids").read_text().split():
        until(lambda pid=pid: not alive(int(pid)), "the children to be dead")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
