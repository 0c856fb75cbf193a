"""The equations that hold after any chaos, checked on the API, the database and the ledger.

A trigger in the database (`watch`) keeps every change of an execution's status from the beginning on, so what changed
and changed back is seen as well.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos import report
from tests.chaos.nemesis import SEED
from tests.chaos.sender import Sender
from tests.chaos.town import Town
from tests.live import wait

FINAL = ("completed", "failed", "timeout", "cancelled", "abandoned")
REPEATABLE = frozenset({"chaos.again"})  # begun again after an attempt was lost; no other execution has two STARTs

_WATCH = """
    CREATE TABLE chaos_change (
        id bigserial PRIMARY KEY, execution bigint, was text, became text, attempt int, attempt_was int, other bool);
    CREATE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO chaos_change (execution, was, became, attempt_was, attempt, other) VALUES (
            NEW.id, OLD.status, NEW.status, OLD.attempt, NEW.attempt,
            (OLD.result, OLD.exit_code, OLD.error, OLD.finished_at)
                IS DISTINCT FROM (NEW.result, NEW.exit_code, NEW.error, NEW.finished_at));
        RETURN NEW;
    END $$;
    CREATE TRIGGER chaos_note AFTER UPDATE ON executions_execution FOR EACH ROW EXECUTE FUNCTION chaos_note();"""


def watch(town: Town) -> None:
    """Keep every change of an execution from now on; once for each database."""
    with psycopg.connect(town.live.env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(_WATCH)


def check(town: Town, *senders: Sender) -> None:
    """All equations, once everything is done. Raises AssertionError with each that does not hold, and the seed."""
    town.drain()
    town.live.token = ""  # servers may have come and gone
    with suppress(AssertionError):
        wait(lambda: not _programs(town) and not _folders(town), "programs to be gone", 30)
    found = [fault for equation in EQUATIONS for fault in equation(town)]
    found += [fault for sender in senders for fault in (*sender.faults, *_kept(town, sender))]
    if found:
        more = f"\n… and {len(found) - 20} more" if len(found) > 20 else ""
        listed = "\n".join(f"- {fault}" for fault in found[:20])
        raise AssertionError(f"With CHAOS_SEED={SEED}:\n{listed}{more}\n{town.complaints()}")
    report.note(town)


def _kept(town: Town, sender: Sender) -> Iterator[str]:
    """Every event that was acknowledged is there, once, under the number that was given."""
    stored = town.rows("SELECT dedup_key, id FROM rules_event WHERE starts_with(dedup_key, %s)", f"{sender.name}-")
    times = Counter(key for key, _ in stored)
    yield from (f"event {key} is there {count} times" for key, count in times.items() if count != 1)
    there = dict(stored)
    for key, event in sender.accepted.items():
        if there.get(key) != event:
            yield f"event {key} was acknowledged as {event} and is {there.get(key, 'gone')}"
    yield from (f"event {key} is there and was never sent" for key in there.keys() - sender.accepted.keys())


def one_verdict_for_each_event_and_rule(town: Town) -> Iterator[str]:
    rules: dict[str, list[str]] = {}
    for trigger, rule in town.rows("SELECT trigger_ref, ref FROM rules_rule WHERE enabled"):
        rules.setdefault(trigger, []).append(rule)
    verdicts: dict[int, list[str]] = {}
    for event, rule in town.rows("SELECT event_id, rule_ref FROM rules_enforcement"):
        verdicts.setdefault(event, []).append(rule)
    for event, trigger, own, misses in town.rows("SELECT id, trigger_ref, rule_ref, misses FROM rules_event"):
        expected = [own] if own else sorted(rules.get(trigger, []))
        given = sorted(verdicts.get(event, []) + [miss["rule_ref"] for miss in misses])
        if given != expected:
            yield f"event {event} of {trigger} has verdicts of {given}, not of {expected}"


def one_execution_for_each_match(town: Town) -> Iterator[str]:
    for event, rule, execution, verdict in town.rows(
        "SELECT event_id, rule_ref, execution_id, verdict FROM rules_enforcement"
    ):
        if verdict != "matched" or execution is None:
            yield f"rule {rule} on event {event}: {verdict}, execution {execution}"
    for kind, number, count in town.rows(
        """SELECT 'enforcements for execution', execution_id, count(*) FROM rules_enforcement
           GROUP BY execution_id HAVING count(*) > 1
           UNION ALL
           SELECT 'enforcements for execution', e.id, count(n.id) FROM executions_execution e
           LEFT JOIN rules_enforcement n ON n.execution_id = e.id
           WHERE e.rule_ref != '' AND e.original_id IS NULL GROUP BY e.id HAVING count(n.id) != 1"""
    ):
        yield f"{count} {kind} {number}"


def a_terminal_status_never_changes(town: Town) -> Iterator[str]:
    for execution, was, became, other in town.rows(
        "SELECT execution, was, became, other FROM chaos_change WHERE was = ANY(%s) AND (was != became OR other)",
        list(FINAL),
    ):
        yield f"execution {execution} was {was} and became {became}" + " with another result" * other
    for execution, became, attempt_was, attempt in town.rows(
        """SELECT execution, became, attempt_was, attempt FROM chaos_change
           WHERE attempt < attempt_was OR attempt > attempt_was + 1
              OR (attempt != attempt_was AND became != 'running')"""
    ):
        yield f"execution {execution} went from attempt {attempt_was} to {attempt} and is {became}"


def every_execution_is_over_and_counted(town: Town) -> Iterator[str]:
    counts = dict(town.rows("SELECT status, count(*) FROM executions_execution GROUP BY status"))
    yield from (f"{count} executions are {status}" for status, count in counts.items() if status not in FINAL)
    told = Counter(execution["status"] for execution in town.live.executions(page_size="200"))
    if told != counts:
        yield f"the API counts executions as {dict(told)}, the database as {counts}"


def what_was_done_is_what_the_rows_say(town: Town) -> Iterator[str]:
    """Ledger against rows: at most one START, no two attempts at once, `completed` only with an END of that attempt."""
    done = town.ledger.attempts()
    ours = "SELECT id, action_ref, status, attempt FROM executions_execution WHERE pack_ref = 'chaos'"
    for execution, action, status, attempt in town.rows(ours):
        attempts = done.pop(execution, [])
        starts = sum(len(one.starts) for one in attempts)
        if starts > 1 and action not in REPEATABLE:
            yield f"execution {execution} of {action} was begun {starts} times"
        if starts > attempt:
            yield f"execution {execution} was begun {starts} times in {attempt} attempts"
        for one, other in pairwise(attempts):
            if other.first < one.last:
                yield f"attempts {one.number} and {other.number} of execution {execution} ran at the same time"
        ended = [one.number for one in attempts if one.ends]
        if status == "completed" and (attempt not in ended if action in REPEATABLE else ended != [attempt]):
            yield f"execution {execution} is completed in attempt {attempt}, and ended by itself in {ended}"
    yield from (f"execution {execution} ran and has no row" for execution in done)


def nothing_is_left(town: Town) -> Iterator[str]:
    yield from (f"process {pid} of an execution that is over is alive: {what}" for pid, what in _programs(town))
    yield from (f"the temporary folder {folder} of an execution that is over is left" for folder in _folders(town))


EQUATIONS = (
    one_verdict_for_each_event_and_rule,
    one_execution_for_each_match,
    a_terminal_status_never_changes,
    every_execution_is_over_and_counted,
    what_was_done_is_what_the_rows_say,
    nothing_is_left,
)


def _programs(town: Town) -> list[tuple[int, str]]:
    """Processes that actions started, wherever they fled to: they carry their execution's temporary folder."""
    needle, found = f"TMPDIR={town.data}/tmp/execution-".encode(), []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if needle in environ.read_bytes():
                pid = int(environ.parent.name)
                found.append((pid, (environ.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:100]))
    return [(pid, what) for pid, what in found if pid != os.getpid()]


def _folders(town: Town) -> list[Any]:
    return sorted(town.data.glob("tmp/execution-*"))


def dead_since(town: Town, execution: int) -> float:
    """Seconds since the ledger last heard of the execution's programs."""
    return time.time() - town.ledger.last_sign_of(execution)
