"""Keys and secret parameters of an execution: checked when asked for, opened only for the program itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from apps.executions.errors import ParametersInvalid
from apps.executions.models import Execution
from apps.packs import keys, sealing
from apps.packs.models import Action
from attune.lib import schemas
from attune.lib.errors import AttuneError


@dataclass(frozen=True)
class Handover:
    """What the program gets: parameters in clear, the keys it asked for (None: it asked for none), and what to hide."""

    parameters: dict[str, Any]
    secrets: dict[str, Any] | None
    hidden: list[Any]


def check_parameters(action: Action, parameters: dict[str, Any], key_slots: dict[str, Any]) -> dict[str, Any]:
    """Parameters with defaults filled in. Raises ParametersInvalid naming each fault.

    A value that holds a key's sentinel is only checked when the key is filled in, just before the run.
    """
    if not isinstance(parameters, dict):
        raise ParametersInvalid(f"Parameters of {action.ref} must be an object of names and values.")
    try:
        return schemas.check(action.parameters_schema, parameters, closed=True, skip=partial(_holds, key_slots))
    except AttuneError as error:
        raise ParametersInvalid(f"Action {action.ref}: {error.message}", details=error.details) from None


def reveal(execution: Execution) -> dict[str, Any]:
    """All parameters in clear, key sentinels still in place."""
    if not execution.sealed:
        return execution.parameters
    return sealing.unseal(execution.sealed, about=_place(execution.action_ref))


def seal(parameters: dict[str, Any], action_ref: str) -> str:
    """The parameters of an execution of that action, encrypted for its row."""
    return sealing.seal(parameters, about=_place(action_ref))


def _place(action_ref: str) -> str:
    return f"the parameters of an execution of {action_ref}"


def shown_parameters(execution: Execution) -> dict[str, Any]:
    """The parameters for people: secret ones masked, and for a key's sentinel the template that asked for it."""
    return with_templates(execution.parameters, execution.key_slots)


def with_templates(parameters: dict[str, Any], key_slots: dict[str, Any]) -> dict[str, Any]:
    """Parameters with `{{ key.jira.token }}` in the place of its sentinel."""
    return _filled(parameters, {sentinel: _spoken(slot) for sentinel, slot in key_slots.items()})


def _spoken(slot: dict[str, Any]) -> str:
    return schemas.MASK if "sealed" in slot else f"{{{{ key.{'.'.join(map(str, slot['parts']))} }}}}"


def changed(execution: Execution, parameters: Any) -> Any:
    """Parameters that somebody was shown, changed and sent back: what is as it was shown is as it was."""
    if not isinstance(parameters, dict):
        return parameters  # which will be refused, by the same words as elsewhere
    shown, was = shown_parameters(execution), reveal(execution)
    return {
        name: was[name] if name in was and value == shown.get(name) else value for name, value in parameters.items()
    }


def reseal_all() -> int:
    """Encrypt the secret parameters of every execution anew with the present key. Returns how many; KeyUnreadable."""
    count = 0
    for execution in Execution.objects.exclude(sealed="").only("pk", "sealed", "action_ref").iterator():
        anew = seal(reveal(execution), execution.action_ref)
        count += Execution.objects.filter(pk=execution.pk).update(sealed=anew)
    for execution in Execution.objects.exclude(key_slots={}).only("pk", "key_slots").iterator():
        slots = {sentinel: _resealed(slot) for sentinel, slot in execution.key_slots.items()}
        if slots != execution.key_slots:
            count += Execution.objects.filter(pk=execution.pk).update(key_slots=slots)
    return count


def _resealed(slot: dict[str, Any]) -> dict[str, Any]:
    if "sealed" not in slot:
        return slot
    value = sealing.unseal(slot["sealed"], about=slot["about"])
    return slot | {"sealed": sealing.seal(value, about=slot["about"])}


def open_parameters(execution: Execution, action: Action, *, again: bool = False) -> Handover:
    """Everything in clear, for the moment of delivery. Raises AttuneErrors that name the key or parameter at fault.

    `again`: it was delivered before, and is only asked for to hide it.
    """
    parameters = reveal(execution)
    hidden: list[Any] = []
    if execution.sealed:
        hidden += schemas.secret_values(parameters, action.parameters_schema)
    if execution.key_slots:
        values = _key_values(execution.key_slots, execution, action, again)
        hidden += values.values()
        parameters = check_parameters(action, _filled(parameters, values), {})
    secrets = None
    if action.secrets:
        secrets = keys.values_for(
            action.secrets,
            pack_ref=action.pack.ref,
            action_ref=action.ref,
            reader=f"execution {execution.pk}",
            again=again,
        )
        hidden += secrets.values()
    return Handover(parameters, secrets, hidden)


def _key_values(key_slots: dict[str, Any], execution: Execution, action: Action, again: bool) -> dict[str, Any]:
    """The value for each sentinel. A slot's parts are what stood after `key.`: the longest ref that is, then a path."""
    sealed = {sentinel: slot for sentinel, slot in key_slots.items() if "sealed" in slot}
    given = {sentinel: _opened(slot) for sentinel, slot in sealed.items()}
    named = {sentinel: slot for sentinel, slot in key_slots.items() if sentinel not in sealed}
    if not named:
        return given
    names = {sentinel: [str(part) for part in slot["parts"]] for sentinel, slot in named.items()}
    spellings = {".".join(parts[:n]) for parts in names.values() for n in range(1, len(parts) + 1)}
    there = keys.find_many(spellings, pack_ref=action.pack.ref)
    refs = {}
    for sentinel, parts in names.items():
        lengths = [n for n in range(len(parts), 0, -1) if there[".".join(parts[:n])] is not None]
        refs[sentinel] = (".".join(parts[: lengths[0]]), parts[lengths[0] :]) if lengths else (".".join(parts), [])
    values = keys.values_for(
        sorted({ref for ref, _ in refs.values()}),
        pack_ref=action.pack.ref,
        action_ref=action.ref,
        reader=f"execution {execution.pk}",
        again=again,
    )
    return given | {sentinel: _inside(values[ref], path, ref) for sentinel, (ref, path) in refs.items()}


def _opened(slot: dict[str, Any]) -> Any:
    """A secret of an event or a configuration, which came along encrypted."""
    value = sealing.unseal(slot["sealed"], about=slot["about"])
    for part in slot["parts"]:
        try:
            value = value[part]
        except (LookupError, TypeError):
            way = ".".join(map(str, slot["parts"]))
            raise ParametersInvalid(f"There is nothing at {way!r} in {slot['about']}; a rule asks for it.") from None
    return value


def _inside(value: Any, path: list[str], ref: str) -> Any:
    for part in path:
        if not isinstance(value, dict) or part not in value:
            raise ParametersInvalid(f"Key {ref} has nothing at {'.'.join(path)!r}; a rule's parameters ask for it.")
        value = value[part]
    return value


def _holds(key_slots: dict[str, Any], value: Any) -> bool:
    return isinstance(value, str) and any(sentinel in value for sentinel in key_slots)


def _filled(value: Any, values: dict[str, Any]) -> Any:
    """The value with each sentinel replaced: by the key's own JSON value where it stands alone, else as text."""
    if isinstance(value, dict):
        return {name: _filled(item, values) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    if not isinstance(value, str):
        return value
    if value in values:
        return values[value]
    for sentinel, key_value in values.items():
        if sentinel in value:
            value = value.replace(sentinel, key_value if isinstance(key_value, str) else str(key_value))
    return value
