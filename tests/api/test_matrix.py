"""Every operation of the OpenAPI document, for everybody, on what is theirs, what they may look at, and what is not
theirs: what one may not see answers 404, what one may see but not do 403, and nothing in between tells of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from django.urls import resolve
from rest_framework.test import APIClient

from apps.access.principals import Principal, Role, principal_for
from apps.access.rights import Needs, needs_of
from apps.access.tokens import run_token
from apps.executions.models import Execution, Status
from apps.packs.models import PackIndex
from tests.access.world import Things, limited, make_things, token_for

pytestmark = [pytest.mark.django_db, pytest.mark.embedded_only]

OWN, SEEN, OTHER = "alpha", "gamma", "beta"  # packs: a role there, a viewer there, nothing there
METHODS = ("get", "post", "put", "patch", "delete")

# How the object of an address is named, by what the address begins with; the first that fits counts.
OBJECTS: dict[str, Callable[[Things], Any]] = {
    "/api/v1/packs/install/": lambda of: of.installation.pk,
    "/api/v1/packs/tests/": lambda of: of.test.pk,
    "/api/v1/packs/": lambda of: of.ref,
    "/api/v1/actions/": lambda of: of.action.ref,
    "/api/v1/triggers/": lambda of: of.trigger.ref,
    "/api/v1/sensors/": lambda of: of.sensor.ref,
    "/api/v1/rules/": lambda of: of.rule.ref,
    "/api/v1/policies/": lambda of: of.policy.ref,
    "/api/v1/events/": lambda of: of.event.pk,
    "/api/v1/enforcements/": lambda of: of.enforcement.pk,
    "/api/v1/executions/status/": lambda of: "requested",
    "/api/v1/executions/": lambda of: of.execution.pk,
    "/api/v1/keys/": lambda of: of.key.ref,
}
# What has no object in its address and says in its body which pack it is about.
BODIES: dict[str, Callable[[str], dict[str, Any]]] = {
    "create_pack": lambda ref: {"ref": ref, "label": "New", "version": "1.0.0"},
    "create_trigger": lambda ref: {"ref": f"{ref}.new", "label": "New"},
    "create_rule": lambda ref: {"ref": f"{ref}.new", "trigger_ref": f"{ref}.happened", "action_ref": f"{ref}.act"},
    "create_policy": lambda ref: {
        "ref": f"{ref}.new",
        "scope": {"type": "action", "action_ref": f"{ref}.act"},
        "concurrency": {"limit": 1},
    },
    "create_event": lambda ref: {"trigger_ref": f"{ref}.happened"},
    "create_execution": lambda ref: {"action_ref": f"{ref}.act"},
    "create_key": lambda ref: {"local_ref": "new", "owner_type": "pack", "owner_pack_ref": ref, "value": 1},
    "test_rule_draft": lambda ref: {"trigger_ref": f"{ref}.happened", "action_ref": f"{ref}.act", "payload": {}},
}
# What belongs to no pack, by what the address begins with.
OF_ALL = (
    *("/health", "/auth/", "/api-spec/", "/api/v1/workers", "/api/v1/runtimes", "/api/v1/pack-indices"),
    *("/api/v1/rules/pause", "/api/v1/packs/register", "/api/v1/packs/upload", "/api/v1/packs/download"),
    *("/api/v1/packs/dependencies", "/api/v1/packs/build-envs", "/api/v1/audit-events"),
)
LISTS_OF = re.compile(
    r"/(packs|actions|triggers|enforcements)/\{\w+\}/(actions|triggers|sensors|rules|policies|runtimes|executions)$"
)
ON_THE_KEY = {"update_key"}  # what it takes is decided on the key that is found
ODD = {"list_executions_by_status", "get_indexed_pack"}  # they have a word, not an object, in their address


@dataclass(frozen=True)
class Operation:
    name: str
    method: str
    path: str  # as the document has it
    needs: Needs

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"

    @property
    def of_all(self) -> bool:
        return self.path.startswith(OF_ALL)

    @property
    def has_object(self) -> bool:
        return "{" in self.path and self.name not in ODD and not self.of_all

    @property
    def is_list_of(self) -> bool:
        """A list of what belongs to an object: of one that is not there it is empty, so it tells nothing either."""
        return bool(LISTS_OF.search(self.path))

    def address(self, of: Things) -> str:
        named = next((name for begin, name in OBJECTS.items() if self.path.startswith(begin)), lambda _: 1)
        parts = {"stream": "stderr"}
        return re.sub(r"\{(\w+)\}", lambda part: parts.get(part[1]) or str(named(of)), self.path)


def operations() -> list[Operation]:
    document = APIClient().get("/api-spec/openapi.json").json()
    found = []
    for path, methods in document["paths"].items():
        view = resolve(re.sub(r"\{\w+\}", "1", path)).func.cls  # type: ignore[attr-defined]
        for method in set(methods) & set(METHODS):
            needs = needs_of(view, method.upper())
            assert needs is not None, path
            found.append(Operation(methods[method]["operationId"], method, path, needs))
    return sorted(found, key=str)


@pytest.fixture
def world(db: None) -> dict[str, Things]:
    PackIndex.objects.create(url="http://127.0.0.1/index.json", name="index", enabled=False)
    return {ref: make_things(ref) for ref in (OWN, SEEN, OTHER)}


def client_with(token: str) -> APIClient:
    made = APIClient(HTTP_AUTHORIZATION=f"Bearer {token}") if token else APIClient()
    made.raise_request_exception = False
    return made


def ask(client: APIClient, operation: Operation, address: str, body: Any = None) -> Any:
    """The answer; whatever it changed is taken back."""
    with transaction.atomic():
        given = None if operation.method == "get" else body or {}
        answer = getattr(client, operation.method)(address, given, format="json")
        transaction.set_rollback(True)
    return answer


def cases(operation: Operation, world: dict[str, Things]) -> Iterator[tuple[str, str, Any]]:
    """The packs to try it on, each with the address and the body."""
    if operation.has_object:
        yield from ((ref, operation.address(of), None) for ref, of in world.items())
    elif operation.name in BODIES:
        yield from ((ref, operation.path, BODIES[operation.name](ref)) for ref in world)
    else:
        yield "", operation.address(world[OWN]), None


def test_no_operation_is_left_out() -> None:
    """A new one is looked at for objects by its address; whoever adds one without any writes down whose it is."""
    untested = [
        str(each)
        for each in operations()
        if not each.has_object
        and each.name not in BODIES
        and not each.of_all
        and each.name not in ODD
        and each.method != "get"  # a list: all that it may hold is looked at
        and not (each.needs.role == Role.ADMIN and not each.needs.in_packs)
    ]
    unnamed = [
        str(each)
        for each in operations()
        if each.has_object and not any(each.path.startswith(begin) for begin in OBJECTS)
    ]
    assert untested == [] and unnamed == []
    assert len(operations()) > 100


@pytest.mark.parametrize("role", list(Role))
def test_people_who_are_limited_reach_what_is_theirs_and_hear_nothing_of_the_rest(
    role: Role, world: dict[str, Things]
) -> None:
    person = limited("anna", **{OWN: role, SEEN: Role.VIEWER})
    principal, client = principal_for(person), client_with(token_for(person))
    wrong: list[str] = []
    for operation in operations():
        if operation.path == "/auth/logout" or operation.needs.anybody:
            continue
        for ref, address, body in cases(operation, world):
            answer = ask(client, operation, address, body)
            expected = _expected(operation, principal, ref, role)
            if not expected(answer.status_code):
                wrong.append(f"{operation} of {ref or 'all'} answered {answer.status_code}: {answer.content[:200]!r}")
            if ref != OTHER and OTHER.encode() in _content(answer):
                wrong.append(f"{operation} of {ref or 'all'} tells of {OTHER}: {_around(_content(answer))}")
            if ref == OTHER and (b"secret of" in _content(answer) or b'"of": "beta"' in _content(answer)):
                wrong.append(f"{operation} of {ref} tells what is in it")
    assert not wrong, "\n".join(wrong)


def _expected(operation: Operation, principal: Principal, ref: str, role: Role) -> Callable[[int], bool]:
    def done(status: int) -> bool:
        return status not in (401, 403, 404, 405) and status < 500

    if not operation.needs.met_by(principal):
        return lambda status: status == 403
    if ref == OTHER:
        if operation.is_list_of:
            return lambda status: status in (200, 404)
        if operation.name in ("create_rule", "create_policy", "create_key", "create_pack"):
            return lambda status: status == 403  # what is named is the pack, and whether it is there is not said
        if operation.name == "create_trigger":
            return lambda status: status == 422  # as for a pack that is not there
        return lambda status: status == 404
    needed = Role.ADMIN if operation.name in ON_THE_KEY else operation.needs.role or Role.VIEWER
    if needed > (Role.VIEWER if ref == SEEN else role):
        return lambda status: status == 403
    if operation.name in ("get_pack_latest_test", "refresh_pack_index", "get_worker", "get_runtime"):
        return lambda status: status < 500
    if not operation.has_object and "{" in operation.path:
        return lambda status: status < 500 and status not in (401, 403)
    return done


def _content(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def _around(content: bytes) -> bytes:
    at = content.index(OTHER.encode())
    return content[max(0, at - 100) : at + 100]


def test_nobody_without_a_token_gets_further_than_the_door(world: dict[str, Things]) -> None:
    client, wrong = client_with(""), []
    for operation in operations():
        for ref, address, body in cases(operation, world):
            status = ask(client, operation, address, body).status_code
            if not operation.needs.anybody and status != 401:
                wrong.append(f"{operation} of {ref} answered {status}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", ["execution", "sensor"])
def test_the_token_of_a_run_reaches_its_own_and_no_other(kind: str, world: dict[str, Things]) -> None:
    own = world[OWN]
    Execution.objects.filter(pk=own.execution.pk).update(status=Status.RUNNING, attempt=1)
    token = (
        run_token("execution", own.execution.pk, 1) if kind == "execution" else run_token("sensor", own.sensor.pk, 1)
    )
    client, wrong = client_with(token), []
    for operation in operations():
        let_in = getattr(operation.needs, kind)
        if operation.needs.anybody:
            continue
        for ref, address, body in cases(operation, world):
            answer = ask(client, operation, address, body)
            status = answer.status_code
            if not let_in:
                right = status == 403
            elif ref == OWN or not ref or operation.is_list_of or operation.name == "create_execution":
                right = status < 500 and status not in (401, 404)
            else:
                right = status == 403
            if not right:
                wrong.append(f"{operation} of {ref or 'all'} answered {status}: {answer.content[:100]!r}")
            if operation.method == "get" and let_in and f'"{OTHER}.'.encode() in _content(answer):
                wrong.append(f"{operation} of {ref or 'all'} tells of {OTHER}")
    assert not wrong, "\n".join(wrong)
