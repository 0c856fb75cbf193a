"""Draw a JSON field anew: for another action or trigger, or from the form to the text and back. Writes nothing."""

from __future__ import annotations

from typing import Any

from apps.access.admin_forms import RAW, state_of, value_in
from apps.access.admin_rows import CriteriaRows, SchemaRows
from apps.access.admin_spaces import Parameters, Space
from apps.access.principals import Principal
from apps.access.reach import narrow
from apps.packs.admin.forms import with_defaults
from apps.packs.models import Action, Pack, Trigger
from attune.lib import strictjson
from attune.lib.api import DEEPEST
from attune.lib.errors import InvalidInput


def space_of(source: str, subject: str, *, who: Principal, templates: bool = False) -> Space:
    """The space of a field: by what it belongs to (`action`, `trigger`, `config` of a ref) or by its kind of rows."""
    if source == "rows":
        return SchemaRows()
    if source == "criteria":
        return CriteriaRows()
    if source == "action":
        return Parameters(_schema(who, Action, subject), templates=templates)
    if source == "trigger":
        return Parameters(_schema(who, Trigger, subject), templates=templates)
    if source == "config":
        pack = narrow(who, Pack.objects.filter(ref=subject)).first()
        return Parameters(with_defaults(pack) if pack else {}, templates=templates)
    raise InvalidInput(f"There is no field of the kind {source!r}.")


def _schema(who: Principal, model: Any, ref: str) -> dict[str, Any]:
    """An unknown thing takes no parameters that we could draw."""
    found = narrow(who, model.objects.filter(ref=ref)).values_list("parameters_schema", flat=True).first()
    return found or {"type": "object", "properties": {}}


def drawn_anew(body: bytes, who: Principal) -> dict[str, Any]:
    """The new state of a field, from `{source, subject, was?, templates, mode, form, raw, to}`.

    `was` is the former subject, whose form the data is of; what the new one does not know is left behind. `to` asks for
    the `form` or the `raw` text. Raises InvalidInput.
    """
    try:
        asked = strictjson.read(body, max_depth=DEEPEST)
    except strictjson.BadJson as error:
        raise InvalidInput(f"The request {error}.") from None
    if not isinstance(asked, dict):
        raise InvalidInput("The request is not a JSON object.")
    source, subject, templates = str(asked.get("source")), str(asked.get("subject") or ""), bool(asked.get("templates"))
    former = space_of(source, str(asked.get("was") or subject), templates=templates, who=who)
    space = space_of(source, subject, templates=templates, who=who)
    moved = asked.get("was") not in (None, "", subject)
    try:
        value = value_in(former, asked, what="The text")
    except InvalidInput:
        if not moved:
            raise
        value = space.empty()
    if moved and isinstance(space, Parameters) and isinstance(value, dict):
        value = {name: item for name, item in value.items() if name in space.properties}
        value = {name: item for name, item in value.items() if space.can_draw({name: item})}
    state = state_of(space, value)
    if asked.get("to") == RAW:
        state["mode"] = RAW
    elif state["mode"] == RAW and not moved:
        state["message"] = "The form cannot show all of this; it stays as text."
    return state
