"""Make rows of what a pack's files describe: new ones, changed ones, none for what is gone; in a few queries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.db.models import Model, Q
from django.utils import timezone

from apps.packs.components import Changes, register_kind
from apps.packs.definitions import read_action, read_sensor, read_trigger
from apps.packs.documents import Spec
from apps.packs.models import Action, Pack, Sensor, Trigger
from apps.packs.runtimes import ensure_rows


def register_triggers(pack: Pack, specs: list[Spec]) -> Changes:
    return upsert(Trigger, pack, specs)


def register_actions(pack: Pack, specs: list[Spec]) -> Changes:
    return upsert(Action, pack, _with_runtimes(specs))


def register_sensors(pack: Pack, specs: list[Spec]) -> Changes:
    """After the triggers: a sensor that names one which is nowhere is a fault."""
    wanted = {ref for spec in specs for ref in spec.fields["trigger_refs"]}
    known = set(Trigger.objects.filter(ref__in=wanted).values_list("ref", flat=True)) if wanted else set()
    for spec in specs:
        for number, ref in enumerate(spec.fields["trigger_refs"]):
            if ref not in known:
                spec.document.fault(
                    f"there is no trigger {ref!r}; add triggers/{ref.partition('.')[2]}.yaml, or load its pack first",
                    "trigger_types",
                    number,
                )
    return upsert(Sensor, pack, _with_runtimes(specs))


def upsert(model: type[Any], pack: Pack, specs: list[Spec]) -> Changes:
    """Bring the pack's rows of a model into line with the specs. A row that is right already is not written.

    Ids are kept, and so is `enabled` where a file does not give it. Rows made in forms (`is_adhoc`) stay as they are;
    a spec with the ref of one, or of another pack's row, is a fault.
    """
    changes = Changes()
    rows = {row.ref: row for row in model.objects.filter(Q(pack=pack) | Q(ref__startswith=f"{pack.ref}."))}
    new: list[Model] = []
    changed: list[Model] = []
    columns: set[str] = set()
    for spec in specs:
        row = rows.pop(spec.ref, None)
        if row is None:
            enabled = True if spec.enabled is None else spec.enabled
            new.append(model(pack=pack, ref=spec.ref, enabled=enabled, **spec.fields))
            changes.added.append(spec.ref)
        elif row.pack_id != pack.pk:
            spec.document.fault(f"{spec.ref} belongs to the pack {row.pack}; choose another name", "ref")
        elif getattr(row, "is_adhoc", False):
            spec.document.fault(f"{spec.ref} was made in a form; delete that one first, or choose another name", "ref")
        elif different := bring_into_line(row, spec):
            changed.append(row)
            columns.update(different)
            changes.changed.append(spec.ref)
        else:
            changes.unchanged.append(spec.ref)
    gone = [row for row in rows.values() if row.pack_id == pack.pk and not getattr(row, "is_adhoc", False)]
    changes.removed += [row.ref for row in gone]
    if gone:
        model.objects.filter(pk__in=[row.pk for row in gone]).delete()
    if new:
        model.objects.bulk_create(new)
    if changed:
        model.objects.bulk_update(changed, [*columns, "updated"])
    return changes


def bring_into_line(row: Any, spec: Spec) -> list[str]:
    """Put what differs from the spec, and `updated` if anything does, into the unsaved row; the columns that differ."""
    wanted = spec.fields if spec.enabled is None else spec.fields | {"enabled": spec.enabled}
    different = [name for name, value in wanted.items() if not same(_present(row, name), _comparable(value))]
    for name in different:
        setattr(row, name, wanted[name])
    if different:
        row.updated = timezone.now()
    return different


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: `true` is not 1, but 1000 is 1000.0, as PostgreSQL may give it back."""
    if isinstance(one, bool) is not isinstance(other, bool):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def _present(row: Any, name: str) -> Any:
    return row.runtime_id if name == "runtime" else getattr(row, name)


def _comparable(value: Any) -> Any:
    return value.pk if isinstance(value, Model) else value


def _with_runtimes(specs: list[Spec]) -> list[Spec]:
    """The specs with the row of their runtime in place of its ref."""
    rows = ensure_rows() if specs else {}
    return [replace(spec, fields=spec.fields | {"runtime": rows.get(spec.fields["runtime"])}) for spec in specs]


register_kind("triggers", read=read_trigger, register=register_triggers)
register_kind("actions", read=read_action, register=register_actions)
register_kind("sensors", read=read_sensor, register=register_sensors)
