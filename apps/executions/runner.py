"""Do one execution: claim it, hand the program its parameters, watch it, and write down how it ended."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from django import db
from django.conf import settings

from apps.executions import isolation, lifecycle, losses, retries, tokens, workers
from apps.executions.child import Ended, Lost, watch
from apps.executions.delivery import Delivery, deliver
from apps.executions.environment import refused
from apps.executions.judging import Outputs
from apps.executions.models import Execution, Status
from apps.executions.policies import turns
from apps.executions.secrets import open_parameters
from apps.packs import runtimes
from apps.packs.models import Action
from attune.lib import crash, processes
from attune.lib.confining import here
from attune.lib.errors import AttuneError
from attune.lib.launcher import clock
from attune.lib.loglines import about
from attune.lib.masks import Mask
from attune.lib.programs import Program, launcher
from attune.lib.surroundings import base_environment

logger = logging.getLogger(__name__)

stopping = threading.Event()  # set when this process goes down and can wait for running programs no longer
STORE_FOR = 120.0  # seconds during which we try to write the end of a run into a database that does not answer


def run(execution_id: int, *, selector: str = "", wake: Callable[[list[int]], None]) -> None:
    """Run one waiting execution to its end. Does nothing if it is gone, over, not due, someone else's, or must wait.

    `selector` is what it asks of its worker, as the message says; what the row says counts. `wake` is called with the
    executions that waited for a policy and should be looked at now.
    """
    if selector and not workers.meets(selector):
        return
    with workers.with_in_hand(execution_id):
        _claim_and_run(execution_id, selector, wake)


def _claim_and_run(execution_id: int, selector: str, wake: Callable[[list[int]], None]) -> None:
    since = clock()
    turn = turns.take(execution_id, worker=workers.current_name(), selector=selector)
    wake(turn.wake)
    execution = turn.execution
    if execution is None:
        return
    with about(execution_id=execution.pk, event_id=execution.event_id, rule_ref=execution.rule_ref):
        _run_claimed(execution, since, wake)


def _run_claimed(execution: Execution, since: float, wake: Callable[[list[int]], None]) -> None:
    began = time.monotonic()
    action = execution.action
    with contextlib.ExitStack() as held:
        try:
            to, outcome = _attempt(execution, action, since, held)
        except Lost as lost:
            _lose(execution, lost)
            return
        except AttuneError as error:
            to, outcome = Status.FAILED, {"error": error.message}
        except OSError as error:
            to, outcome = Status.FAILED, {"error": _why_not_started(error)}
        except Exception:
            logger.exception("Execution %s broke its worker's thread.", execution.pk)
            to, outcome = Status.FAILED, {"error": "Attune failed to run this; the worker's log says why."}
        outcome["duration_ms"] = int((time.monotonic() - began) * 1000)
        crash.point("before-result")
        if not _store(lambda: retries.end(execution, to=to, **outcome)):
            logger.warning("Execution %s was no longer ours when it ended as %s.", execution.pk, to)
            return
        crash.point("after-result")
    logger.debug("Execution %s finished as %s.", execution.pk, execution.status)
    if execution.limited:
        wake(_store(lambda: turns.next_after(execution)))


def _lose(execution: Execution, lost: Lost) -> None:
    """The program's end is not ours to tell: the launcher wrote it down for whoever looks, or is gone itself."""
    logger.warning("Execution %s was lost by its worker: %s", execution.pk, lost)
    if lost.is_unstarted:
        _store(lambda: lifecycle.requeue(execution, lost=False))
    elif lost.is_untold:
        _store(lambda: losses.settle(execution, why="its launcher died"))


def _attempt(
    execution: Execution, action: Action | None, since: float, held: ExitStack
) -> tuple[Status, dict[str, Any]]:
    """Start the program, stay with it, and give the status and columns of its end. `held` is closed once it is kept."""
    if action is None:
        raise AttuneError(f"Action {execution.action_ref} is no longer installed; install its pack and run this again.")
    command = runtimes.command_for(action)
    handover = open_parameters(execution, action)
    token = tokens.token_for(execution)
    outputs = Outputs(execution, action, Mask([*handover.hidden, token]))
    given = deliver(
        handover.parameters,
        delivery=action.parameter_delivery,
        format=action.parameter_format,
        secrets=handover.secrets,
    )
    folder = settings.ATTUNE_TMP_DIR / f"execution-{execution.pk}-{execution.attempt}"
    folder.mkdir(mode=0o700, parents=True)
    try:
        here.hand_over(folder)
        env = _environment(execution, action, given, command.env, cwd=command.cwd, folder=folder, token=token)
        with contextlib.nullcontext() if given.stdin is None else processes.document(given.stdin) as stdin:
            crash.point("before-spawn")
            confined = isolation.confine(action, command, folder=folder, env=env)
            program = launcher.start(
                f"{execution.pk}-{execution.attempt}",
                confined.argv,
                cwd=command.cwd,
                env=confined.contained.env if confined.contained else env,
                stdin=stdin,
                marker=f"TMPDIR={folder}",
                since=since,
                keep={"execution": execution.pk, "attempt": execution.attempt},
                warm=_warm(execution, command, confined),
                sandboxed=confined.is_sandboxed,
            )
        held.callback(program.forget)
        if confined.contained:
            held.callback(confined.contained.leave, program)
        crash.point("after-spawn")
        return _stay(program, execution, action, outputs)
    finally:
        try:
            folder.rmdir()  # mostly empty, and then this is much the cheaper
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)


def _stay(program: Program, execution: Execution, action: Action, outputs: Outputs) -> tuple[Status, dict[str, Any]]:
    timeout = timeout_of(execution, action)
    try:
        end = watch(
            program,
            take=outputs.take,
            timeout=timeout,
            grace=settings.ATTUNE_KILL_GRACE,
            ask=lambda: _why_end(execution),
            go_live=outputs.go_live,
        )
    finally:
        outputs.close()
    crash.point("after-exit")
    verdict = outputs.judge(end, timeout=timeout)
    if not program.is_ours():
        raise Lost(program)
    return isolation.explain(action, verdict)


def timeout_of(execution: Execution, action: Action) -> float:
    """The time limit in seconds: the request's, else the action's, else the default or the pack's own, if smaller."""
    asked = execution.timeout or action.timeout
    if asked:
        return float(asked)
    own = action.pack.effective_config.get("max_action_timeout")
    default = float(settings.ATTUNE_DEFAULT_TIMEOUT)
    return min(default, float(own)) if isinstance(own, int | float) and own > 0 else default


def _warm(execution: Execution, command: runtimes.Command, confined: isolation.Confined) -> dict[str, Any] | None:
    """With what a warm Python for it starts; None if it is started cold, as a variable may ask of any interpreter."""
    if (
        not command.is_warm
        or confined.is_sandboxed
        or any(refused(name, declared=frozenset()) for name in execution.env_vars)
    ):
        return None
    return {
        "before": settings.ATTUNE_ACCOUNT.command if settings.ATTUNE_ACCOUNT else (),
        "argv": command.argv,
        "env": {**base_environment(), **command.env},
        "idle": settings.ATTUNE_PYTHON_IDLE,
        "limits": confined.bounds,
    }


def _environment(
    execution: Execution,
    action: Action,
    given: Delivery,
    runtime_env: dict[str, str],
    *,
    cwd: Path,
    folder: Path,
    token: str,
) -> dict[str, str]:
    """All that the program finds in its environment (contract: Environment)."""
    env = {
        **execution.env_vars,
        **base_environment(),
        **runtime_env,
        **given.env,
        "PWD": str(cwd),
        "TMPDIR": str(folder),
        "ATTUNE_ACTION": action.ref,
        "ATTUNE_PACK_REF": execution.pack_ref,
        "ATTUNE_EXEC_ID": str(execution.pk),
        "ATTUNE_API_URL": settings.ATTUNE_API_URL,
        "ATTUNE_API_TOKEN": token,
        "ATTUNE_PARAMETER_DELIVERY": action.parameter_delivery,
        "ATTUNE_PARAMETER_FORMAT": action.parameter_format,
        "ATTUNE_ARTIFACTS_DIR": str(settings.ATTUNE_ARTIFACTS_DIR),
    }
    env["ATTUNE_IDEMPOTENCY_KEY"] = tokens.idempotency_key_of(execution)
    if execution.rule_ref:
        env["ATTUNE_RULE"] = execution.rule_ref
    if execution.trigger_ref:
        env["ATTUNE_TRIGGER"] = execution.trigger_ref
    if execution.trace_tag:
        env["ATTUNE_TRACE_TAG"] = execution.trace_tag
    if given.file is not None:
        path = folder / f"parameters.{action.parameter_format}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(fd, "wb") as file:
            file.write(given.file)
        here.hand_over(path)
        env["ATTUNE_PARAMETER_FILE"] = str(path)
    return env


def _why_not_started(error: OSError) -> str:
    if error.errno == errno.ENOEXEC:
        return f"{error.filename} is neither a program nor a script with a `#!` line; add one, or name its runner_type."
    return f"The program could not be started: {error}."


def _why_end(execution: Execution) -> Ended:
    """Whether to end a running program early, and why."""
    if stopping.is_set():
        return "stop"
    try:
        return "" if lifecycle.is_ours(execution) else "cancel"
    except db.Error:  # a database that does not answer is no reason to end a program
        db.connection.close()
        return ""


def _store(write: Callable[[], Any]) -> Any:
    """Write, and try again for a while if the database is away: the end of a run must not be lost to a restart."""
    deadline = time.monotonic() + STORE_FOR
    pause = 0.1
    while True:
        try:
            return write()
        except (db.OperationalError, db.InterfaceError):
            if time.monotonic() > deadline or db.connection.in_atomic_block:
                raise
            with suppress(db.Error):
                db.connection.close()
            time.sleep(pause)
            pause = min(5.0, 2 * pause)
