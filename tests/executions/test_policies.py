"""Policies for real: executions start, wait, end and are tried again as the policies say, with real workers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connections
from django.utils import timezone

from apps.executions import lifecycle, retries, services
from apps.executions import workers as signs_of_life
from apps.executions.models import Execution, Policy, PolicyStart, Status, Worker
from apps.executions.policies import turns, waiting
from apps.packs.models import Action, Pack
from tests.conftest import until

HOST = {"host": {"type": "string"}, "token": {"type": "string", "secret": True}}


@pytest.fixture
def make_policy(db: None) -> Callable[..., Policy]:
    """A policy for an action of pack demo, made as a person would."""

    def make(name: str = "limit", *, scope: str = "action", scope_ref: str | None = None, **parts: object) -> Policy:
        ref = {"action": "demo.act", "pack": "demo", "global": ""}[scope] if scope_ref is None else scope_ref
        return services.create_policy(
            ref=f"demo.{name}", pack="demo", actor="test", scope=scope, scope_ref=ref, **parts
        )

    return make


@pytest.fixture
def alive(workers: object, settings: object) -> str:
    """This process as a worker that has signed on; what it runs holds places."""
    settings.ATTUNE_LEASE = 3600  # type: ignore[attr-defined]
    settings.ATTUNE_SWEEP = 0.5  # type: ignore[attr-defined]
    return signs_of_life.sign_on(threads=6)


@pytest.fixture
def gate(make_action: Callable[..., Action], tmp_path: Path) -> Callable[..., Action]:
    """An action that notes its start and end in a ledger and runs until the file `go` is there."""

    def make(**fields: object) -> Action:
        script = ledger_script(tmp_path, f"until [ -e {tmp_path}/go ]; do sleep 0.05; done")
        return make_action(script, parameters=HOST, **fields)

    return make


def ledger_script(folder: Path, between: str) -> str:
    """Notes in a ledger for which host it began, then that it ended."""
    return f"""
        who=$(jq -r '.host // "none"')
        echo "START $who $ATTUNE_EXEC_ID" >> {folder}/ledger
        {between}
        echo "END $who $ATTUNE_EXEC_ID" >> {folder}/ledger"""


def status_of(execution: Execution) -> str:
    return Execution.objects.values_list("status", flat=True).get(pk=execution.pk)


def ask(action: Action, **parameters: object) -> Execution:
    return services.request_execution(action, parameters=parameters)


def is_told(execution: Execution) -> str:
    return waiting.reasons(Execution.objects.filter(pk=execution.pk)).get(execution.pk, "")


def swept_until(condition: Callable[[], object]) -> None:
    """Wait for it, with the sweep that a worker's process does on the side."""

    def swept() -> object:
        services.wake_due()
        return condition()

    until(swept)


def over(*executions: Execution) -> None:
    swept_until(lambda: all(Execution.objects.get(pk=e.pk).is_final for e in executions))


def open_at_once(ledger: Path) -> dict[str, int]:
    """The most that were open at a time, for each group."""
    now: dict[str, int] = {}
    most: dict[str, int] = {}
    for line in ledger.read_text().splitlines():
        word, who, _ = line.split()
        now[who] = now.get(who, 0) + (1 if word == "START" else -1)
        most[who] = max(most.get(who, 0), now[who])
    assert set(now.values()) == {0}
    return most


# How many at a time --------------------------------------------------------------------------------------------------
def test_what_finds_no_place_waits_and_says_for_what(gate, make_policy, alive, tmp_path):
    action = gate()
    make_policy("one_at_a_time", concurrency={"limit": 1})
    first = ask(action)
    until(lambda: status_of(first) == Status.RUNNING)
    second = ask(action)
    until(lambda: is_told(second))
    assert status_of(second) == Status.SCHEDULED
    assert is_told(second) == f"Waits for policy demo.one_at_a_time: 1 of 1 running (execution {first.pk})."
    (tmp_path / "go").touch()
    until(lambda: status_of(second) == Status.COMPLETED)  # no sweep: the end of the first is what starts it
    assert is_told(second) == "" and status_of(first) == Status.COMPLETED


def test_those_that_wait_start_oldest_first(gate, make_policy, alive, tmp_path):
    action = gate()
    make_policy(concurrency={"limit": 1})
    first = ask(action)
    until(lambda: status_of(first) == Status.RUNNING)
    others = [ask(action) for _ in range(6)]
    until(lambda: all(is_told(each) for each in others))
    (tmp_path / "go").touch()
    until(lambda: status_of(others[-1]) == Status.COMPLETED)
    started = [int(line.split()[2]) for line in (tmp_path / "ledger").read_text().splitlines() if "START" in line]
    assert started == [first.pk, *(each.pk for each in others)]


def test_all_places_are_used_and_none_twice(gate, make_policy, alive, tmp_path):
    action = gate()
    make_policy(concurrency={"limit": 3})
    asked = [ask(action) for _ in range(9)]
    until(lambda: Execution.objects.exclude(waits_key="").count() == 6)
    until(lambda: (tmp_path / "ledger").exists() and (tmp_path / "ledger").read_text().count("START") == 3)
    (tmp_path / "go").touch()
    until(lambda: all(status_of(each) == Status.COMPLETED for each in asked))
    assert open_at_once(tmp_path / "ledger")["none"] == 3


def test_forty_over_four_values_are_never_two_open_for_one_value(make_action, make_policy, alive, tmp_path):
    action = make_action(ledger_script(tmp_path, "sleep 0.05"), parameters=HOST)
    make_policy(concurrency={"limit": 1, "group_by": ["parameters.host"]})
    asked = [ask(action, host=f"host{number % 4}") for number in range(40)]
    until(lambda: all(status_of(each) == Status.COMPLETED for each in asked), patience=90)
    assert open_at_once(tmp_path / "ledger") == {f"host{number}": 1 for number in range(4)}


def test_many_workers_that_claim_at_the_same_moment_never_exceed_the_limit(make_action, make_policy, transactional_db):
    """The claim alone, without programs: as much at the same moment as the database lets through."""
    action = make_action(parameters=HOST)
    make_policy(concurrency={"limit": 2, "group_by": ["host"]})
    name = signs_of_life.sign_on(threads=8)
    asked = [
        Execution.objects.create(
            action=action, action_ref=action.ref, pack_ref="demo", parameters={"host": f"h{number % 3}"}
        ).pk
        for number in range(24)
    ]
    start = threading.Barrier(8)
    broken: list[Exception] = []

    def claim_some(mine: list[int]) -> None:
        try:
            start.wait(timeout=30)
            for pk in mine:
                turns.take(pk, worker=name)
        except Exception as error:
            broken.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=claim_some, args=(asked[number::8],)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not broken
    running = Execution.objects.filter(status=Status.RUNNING).values_list("parameters", flat=True)
    assert sorted(each["host"] for each in running) == ["h0", "h0", "h1", "h1", "h2", "h2"]
    assert Execution.objects.exclude(waits_key="").count() == 18
    Execution.objects.all().delete()


def test_a_limit_of_a_pack_or_of_all_counts_across_actions(make_pack, make_policy, db):
    files = {f"actions/{name}.yaml": {"ref": f"demo.{name}", "entry_point": "a.sh"} for name in ("act", "other")}
    make_pack("demo", files | {"actions/a.sh": "true"})
    name = signs_of_life.sign_on(threads=1)
    one, two = (ask(Action.objects.select_related("pack").get(ref=f"demo.{ref}")) for ref in ("act", "other"))
    policy = make_policy(scope="pack", concurrency={"limit": 1})
    assert turns.take(one.pk, worker=name).execution is not None
    assert turns.take(two.pk, worker=name).execution is None and "1 of 1" in is_told(two)
    services.update_policy(policy, actor="test", scope="global", scope_ref="")
    assert turns.take(two.pk, worker=name).execution is None
    services.update_policy(policy, actor="test", scope="action", scope_ref="demo.act")
    assert turns.take(two.pk, worker=name).execution is not None


def test_on_limit_cancel_ends_it_at_once_with_the_policys_name(gate, make_policy, alive, tmp_path):
    action = gate()
    make_policy("no_crowd", concurrency={"limit": 1, "on_limit": "cancel"})
    first = ask(action)
    until(lambda: status_of(first) == Status.RUNNING)
    second = ask(action)
    until(lambda: status_of(second) == Status.CANCELLED)
    second.refresh_from_db()
    assert second.error == f"Cancelled by policy demo.no_crowd: 1 of 1 running (execution {first.pk})."
    assert second.finished_at is not None and second.started_at is None
    services.nudge([first] * 5)  # a doubled message about the one that runs cancels nothing
    (tmp_path / "go").touch()
    until(lambda: status_of(first) == Status.COMPLETED)


def test_who_waits_can_be_cancelled_and_the_next_is_not_held_up(gate, make_policy, alive, tmp_path):
    action = gate()
    make_policy(concurrency={"limit": 1})
    first = ask(action)
    until(lambda: status_of(first) == Status.RUNNING)
    second, third = ask(action), ask(action)
    until(lambda: is_told(second) and is_told(third))
    services.cancel_execution(Execution.objects.get(pk=second.pk), actor="anna")
    (tmp_path / "go").touch()
    until(lambda: status_of(third) == Status.COMPLETED)
    assert status_of(second) == Status.CANCELLED and "anna" in Execution.objects.get(pk=second.pk).error


def test_the_place_of_a_dead_worker_is_free_after_its_lease(make_action, make_policy, db, settings):
    action = make_action()
    make_policy(concurrency={"limit": 1})
    Worker.objects.create(name="w1", host="h", pid=1, heartbeat_at=timezone.now())
    first, second = ask(action), ask(action)
    assert turns.take(first.pk, worker="w1").execution is not None
    assert turns.take(second.pk, worker="w2").execution is None
    over = timedelta(seconds=settings.ATTUNE_LEASE + signs_of_life.GRACE + 1)
    Worker.objects.filter(name="w1").update(heartbeat_at=timezone.now() - over)
    assert second.pk in waiting.first_of_all()
    assert turns.take(second.pk, worker="w2").execution is not None


def test_the_sweep_finds_who_may_start_when_nobody_was_told(make_action, make_policy, db, settings):
    action = make_action()
    make_policy(concurrency={"limit": 1})
    name = signs_of_life.sign_on(threads=1)
    first, second, third = ask(action), ask(action), ask(action)
    running = turns.take(first.pk, worker=name).execution
    for each in (second, third):
        assert turns.take(each.pk, worker=name).execution is None
    assert lifecycle.finish(running, to=Status.COMPLETED)
    Execution.objects.update(nudged_at=timezone.now() - timedelta(seconds=settings.ATTUNE_SWEEP + 1))
    assert [each.pk for each in waiting.due()] == [second.pk] and waiting.due() == []
    assert turns.take(third.pk, worker=name) == turns.Turn(None, [second.pk])  # not before its elder
    assert turns.take(second.pk, worker=name).execution is not None


def test_two_limits_must_both_be_kept_and_who_waits_for_one_does_not_block_the_other(make_action, make_policy, db):
    action = make_action(parameters=HOST)
    make_policy("one_per_host", concurrency={"limit": 1, "group_by": "host"})
    make_policy("two_in_all", concurrency={"limit": 2})
    name = signs_of_life.sign_on(threads=1)
    a1, a2, b1, c1 = (ask(action, host=host) for host in ("a", "a", "b", "c"))
    assert turns.take(a1.pk, worker=name).execution is not None
    assert turns.take(a2.pk, worker=name).execution is None and "one_per_host" in is_told(a2)
    running = turns.take(b1.pk, worker=name).execution
    assert running is not None  # a2 is older, but waits for its host
    assert turns.take(c1.pk, worker=name).execution is None and "two_in_all" in is_told(c1)
    assert lifecycle.finish(running, to=Status.COMPLETED)
    assert turns.next_after(running) == [c1.pk]


# How often -----------------------------------------------------------------------------------------------------------
def test_no_more_start_within_the_window_than_the_rate_allows(make_action, make_policy, alive):
    action = make_action("true")
    make_policy("slowly", rate_limit={"limit": 2, "window": 3})
    asked = [ask(action) for _ in range(5)]
    until(lambda: Execution.objects.exclude(waits_key="").count() == 3)
    told = is_told(Execution.objects.exclude(waits_key="").latest("id"))
    assert told.startswith("Waits for policy demo.slowly: 2 of 2 started within 3 s; the next may start in ")
    over(*asked)
    starts = sorted(Execution.objects.values_list("started_at", flat=True))
    assert all((later - earlier).total_seconds() >= 3 for earlier, later in zip(starts, starts[2:], strict=False))


def test_a_rate_is_counted_for_each_value_and_forgotten_after_its_window(make_action, make_policy, db):
    action = make_action(parameters=HOST)
    make_policy(rate_limit={"limit": 1, "window": 60, "group_by": ["parameters.host"], "on_limit": "cancel"})
    name = signs_of_life.sign_on(threads=1)
    a1, a2, b1, a3 = (ask(action, host=host) for host in ("a", "a", "b", "a"))
    assert turns.take(a1.pk, worker=name).execution and turns.take(b1.pk, worker=name).execution
    assert turns.take(a2.pk, worker=name).execution is None
    assert Execution.objects.get(pk=a2.pk).error == "Cancelled by policy demo.limit: 1 of 1 started within 60 s."
    assert waiting.forget_starts() == 0
    PolicyStart.objects.update(at=timezone.now() - timedelta(seconds=61))
    assert turns.take(a3.pk, worker=name).execution is not None
    assert waiting.forget_starts() == 2 and PolicyStart.objects.count() == 1


# Tried again ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("backoff", "expected"),
    [("constant", [10, 10, 10, 10]), ("linear", [10, 20, 30, 35]), ("exponential", [10, 20, 35, 35])],
)
def test_back_off_has_its_shape_up_to_its_longest(backoff, expected):
    how = {"backoff": backoff, "delay": 10, "max_delay": 35, "jitter": 0.5}
    assert [retries.pause(how, tries, dice=0) for tries in range(4)] == expected
    assert [retries.pause(how, tries, dice=1) for tries in range(4)] == [1.5 * each for each in expected]
    assert [retries.pause(how, tries, dice=-1) for tries in range(4)] == [0.5 * each for each in expected]
    assert retries.pause(how, 10_000, dice=0) >= 10


def test_a_policy_s_retry_wins_over_the_actions_own(make_action, make_policy, alive, tmp_path):
    action = make_action(f"echo x >> {tmp_path}/tries; exit 1", max_retries=5)
    make_policy(retry={"max_retries": 2, "backoff": "constant", "delay": 0})
    first = ask(action)
    swept_until(lambda: Execution.objects.filter(retry_number=2, status=Status.FAILED).exists())
    assert Execution.objects.count() == 3 and (tmp_path / "tries").read_text() == "x\n" * 3
    assert set(Execution.objects.exclude(pk=first.pk).values_list("original", flat=True)) == {first.pk}


def test_only_what_the_policy_names_is_tried_again(make_action, make_policy, alive):
    action = make_action("exit 1", max_retries=5)
    make_policy(retry={"max_retries": 3, "retry_on": ["timeout"]})
    over(ask(action))
    slow = make_action("sleep 60", name="slow", pack="other")
    make_policy("again", scope_ref="other.slow", retry={"max_retries": 1, "delay": 600, "max_delay": 900})
    over(services.request_execution(slow, parameters={}, timeout=1))
    again = until(lambda: Execution.objects.filter(retry_number=1).first())
    assert again.action_ref == "other.slow" and again.status == Status.SCHEDULED
    assert 590 < (again.run_after - timezone.now()).total_seconds() <= 600
    services.cancel_execution(again, actor="test")


def test_the_closest_scope_counts_unless_another_has_a_higher_priority(make_action, make_policy, alive):
    action = make_action("exit 1")
    make_policy("all", scope="global", retry={"max_retries": 0})
    make_policy("close", retry={"max_retries": 1, "delay": 0})
    over(ask(action))
    swept_until(lambda: Execution.objects.filter(retry_number=1, status=Status.FAILED).exists())
    assert Execution.objects.count() == 2
    make_policy("first", scope="pack", priority=1, retry={"max_retries": 0})
    over(ask(action))
    assert Execution.objects.count() == 3


# Changes while others wait -------------------------------------------------------------------------------------------
def test_a_policy_that_comes_later_counts_what_runs_and_holds_what_waits(make_action, make_policy, db):
    action = make_action()
    name = signs_of_life.sign_on(threads=1)
    first, second = ask(action), ask(action)
    assert turns.take(first.pk, worker=name).execution is not None
    make_policy(concurrency={"limit": 1})
    assert turns.take(second.pk, worker=name).execution is None and f"execution {first.pk}" in is_told(second)


@pytest.mark.parametrize("change", ["disable", "delete", "raise", "pack", "another group"])
def test_what_waits_goes_on_as_soon_as_the_policy_no_longer_holds_it(gate, make_policy, alive, tmp_path, change):
    action = gate()
    policy = make_policy(concurrency={"limit": 1})
    first = ask(action, host="a")
    until(lambda: status_of(first) == Status.RUNNING)
    others = [ask(action, host=host) for host in "bc"]
    until(lambda: all(is_told(each) for each in others))
    if change == "disable":
        services.set_policy_enabled(policy, False, actor="test")
    elif change == "delete":
        services.delete_policy(policy, actor="test")
    elif change == "raise":
        services.update_policy(policy, actor="test", concurrency={"limit": 3})
    elif change == "another group":
        services.update_policy(policy, actor="test", concurrency={"limit": 1, "group_by": ["host"]})
    else:
        Pack.objects.update(enabled=False)  # by another way than our services: the sweep notices
        services.wake_due()
    until(lambda: all(status_of(each) == Status.RUNNING for each in others))
    (tmp_path / "go").touch()
    over(first, *others)


def test_a_disabled_policy_holds_nobody(make_action, make_policy, db):
    action = make_action()
    make_policy(concurrency={"limit": 1}, enabled=False)
    name = signs_of_life.sign_on(threads=1)
    claimed = [turns.take(ask(action).pk, worker=name).execution for _ in range(2)]
    assert all(execution and not execution.limited for execution in claimed)


def test_without_a_policy_a_run_is_claimed_in_one_statement(make_action, db, django_assert_num_queries):
    action = make_action()
    first, second = ask(action), ask(action)
    turns.take(first.pk, worker="w")  # the action is looked up once, and kept
    with django_assert_num_queries(1):
        assert turns.take(second.pk, worker="w").execution is not None
