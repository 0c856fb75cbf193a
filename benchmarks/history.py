"""A long history, made by SQL: copies of one real event, its enforcement, its execution and its delivery."""

from __future__ import annotations

from typing import Any

from benchmarks.installation import Installation

# What differs between the copies; `n` counts them, `{age}` is a moment that grows with n. The rest is as in the model.
_EVENT = {"id": "{base} + n", "created": "{age}", "processed_at": "{age}", "dedup_key": "''"}
_EVENT |= {"trace_tag": "CASE WHEN n % 1000 = 0 THEN 'trace-' || n ELSE '' END"}
_RULE = "'bench_adhoc.rule' || (n % 100)"
_EXECUTION = {
    "id": "{base} + n",
    "created": "{age}",
    "updated": "{age}",
    "started_at": "{age}",
    "finished_at": "{age}",
    "event_id": "{base} + n",
    "rule_ref": _RULE,
    "status": "CASE WHEN n % 50 = 0 THEN 'failed' WHEN n % 997 = 0 THEN 'timeout' ELSE 'completed' END",
    "action_ref": "CASE WHEN n % 5000 = 0 THEN 'bench.seldom' ELSE 'bench.true' END",
    "trace_tag": _EVENT["trace_tag"],
}
_ENFORCEMENT = {
    "id": "{base} + n",
    "created": "{age}",
    "event_id": "{base} + n",
    "execution_id": "{base} + n",
    "rule_ref": _RULE,
    "verdict": "CASE WHEN n % 3000 = 0 THEN 'error' ELSE 'matched' END",
}
_DELIVERY = {"id": "{base} + n", "received_at": "{age}", "event_id": "{base} + n"}
_DELIVERY |= {"status": "CASE WHEN n % 2000 = 0 THEN 401 ELSE 202 END"}
TABLES = {
    "rules_event": _EVENT,
    "executions_execution": _EXECUTION,
    "rules_enforcement": _ENFORCEMENT,
    "sensors_webhookdelivery": _DELIVERY,
}
BASE = 1_000_000


def make_history(attune: Installation, rows: int) -> None:
    """So many rows in each table, a second apart, numbered after those there are; a model of each must be there."""
    for table, changes in TABLES.items():
        _copies(attune, table, changes, rows, base=BASE)
    _settle(attune)


def make_waiting(attune: Installation, rows: int) -> None:
    """So many executions that wait for their time, an hour from now, as retries do."""
    later = "now() + interval '1 hour'" if attune.mode == "server" else "datetime('now', '+1 hour')"
    changes = {
        "id": "{base} + n", "status": "'scheduled'", "run_after": later, "nudged_at": "NULL", "event_id": "NULL",
        "started_at": "NULL", "finished_at": "NULL", "rule_ref": "'bench_adhoc.waiting'",
    }  # fmt: skip
    _copies(attune, "executions_execution", changes, rows, base=2 * BASE)
    _settle(attune)


def make_rules(attune: Installation, path: str, rules: int) -> None:
    """So many rules on that webhook's trigger, the first of which is there: rule k wants `payload.k` to be k."""
    ref = attune.query(f"SELECT ref FROM packs_trigger WHERE webhook_key = '{path.rpartition('/')[2]}'")[0][0]
    changes = {"id": "{base} + n", "ref": "model.ref || '_' || n", "criteria": _criteria(attune)}
    _copies(attune, "rules_rule", changes, rules - 1, base=BASE, model=f"WHERE trigger_ref = '{ref}'")
    _settle(attune)


def make_others(attune: Installation, rules: int) -> None:
    """So many rules on a thousand other triggers."""
    changes = {
        "id": "{base} + n", "ref": "'bench_adhoc.other_' || n", "criteria": _criteria(attune),
        "trigger_ref": "'bench_adhoc.other' || (n % 1000)", "trigger_id": "NULL",
    }  # fmt: skip
    _copies(attune, "rules_rule", changes, rules, base=2 * BASE)
    _settle(attune)


def _criteria(attune: Installation) -> str:
    made = "jsonb_build_object" if attune.mode == "server" else "json_object"
    return f"{made}('var', 'payload.k', '==', n)"


def _copies(
    attune: Installation, table: str, changes: dict[str, str], rows: int, *, base: int, model: str = ""
) -> None:
    """Copies of the table's first row, or the first that meets `model`."""
    server = attune.mode == "server"
    age = f"now() - interval '1 second' * ({rows} - n)" if server else f"datetime('now', (n - {rows}) || ' seconds')"
    values = {column: _said(column, changes, base=base, age=age) for column in _columns(attune, table)}
    series = f"SELECT n FROM generate_series(1, {rows}) n" if server else "SELECT n FROM s"
    opening = "" if server else f"WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) "
    attune.change(
        f"{opening}INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())} "
        f"FROM ({series}) s, (SELECT * FROM {table} {model} ORDER BY id LIMIT 1) model"
    )
    if server:
        attune.change(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))")


def _said(column: str, changes: dict[str, str], *, base: int, age: str) -> str:
    if column not in changes:
        return f'model."{column}"'
    return changes[column].replace("{base}", str(base)).replace("{age}", age)


def _columns(attune: Installation, table: str) -> list[Any]:
    if attune.mode == "embedded":
        return [row[1] for row in attune.query(f"PRAGMA table_info({table})")]
    sql = f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
    return [row[0] for row in attune.query(sql)]


def _settle(attune: Installation) -> None:
    attune.change("VACUUM ANALYZE" if attune.mode == "server" else "ANALYZE")
