"""Every route asks who comes: what is not declared is refused, and each role reaches just what is declared for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient
from rest_framework.views import APIView

from apps.access.principals import Principal, Role
from apps.access.rights import Needs, needs_of
from tests.api.runs import running_execution, running_sensor

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# Open to all on purpose: pages without secrets, and doors that have locks of their own.
OPEN_VIEWS = {"", "docs", "metrics", "api/v1/webhooks/<ref:key>", "auth/oidc/login", "auth/callback"}
DJANGO_PAGES = ("admin/",)

# The doors of installing and of pack indices, below /api/v1/: the least role that each asks for.
PACK_DOORS = {
    Role.VIEWER: """
        GET packs/install
        GET packs/install/<int:pk>
        GET packs/install/<int:pk>/stream
        GET packs/tests/<int:pk>
        GET packs/<ref:ref>/install/latest
        GET packs/<ref:ref>/tests
        GET packs/<ref:ref>/tests/latest
        GET packs/<ref:ref>/versions
        GET packs/<ref:ref>/environment
        GET packs/<ref:ref>/config
        POST packs/<ref:ref>/config/validate
        GET pack-indices
        GET pack-indices/<int:pk>
        GET pack-indices/packs
        GET pack-indices/packs/<ref:ref>
    """,
    Role.EDITOR: """
        PUT packs/<ref:ref>/config
    """,
    Role.ADMIN: """
        POST packs/register
        POST packs/install
        POST packs/upload
        POST packs/download
        POST packs/dependencies
        POST packs/build-envs
        POST packs/register-batch
        POST packs/<ref:ref>/update
        POST packs/<ref:ref>/rollback
        POST packs/<ref:ref>/reload
        POST packs/<ref:ref>/test
        POST packs/<ref:ref>/environment
        PUT packs/<ref:ref>/environment
        POST pack-indices
        PUT pack-indices/<int:pk>
        DELETE pack-indices/<int:pk>
        POST pack-indices/<int:pk>/refresh
    """,
}
# The four that the core pack's actions call, with the right of the administrator who asked for them.
MANAGING = {f"POST /api/v1/packs/{name}" for name in ("download", "dependencies", "build-envs", "register-batch")}


@dataclass(frozen=True)
class Route:
    path: str
    method: str
    needs: Needs | None
    is_stream: bool = False

    def __str__(self) -> str:
        return f"{self.method} /{self.path}"

    @property
    def address(self) -> str:
        return "/" + re.sub(r"<int:\w+>", "999999", re.sub(r"<(ref|path):\w+>", "none.none", self.path))


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield path, pattern.callback
        elif not path.startswith(DJANGO_PAGES):
            yield from patterns(pattern, path)


def routes() -> list[Route]:
    found = []
    for path, callback in patterns(get_resolver()):
        if path in OPEN_VIEWS or path.startswith(DJANGO_PAGES):
            continue
        view = getattr(callback, "cls", None)
        if view is None:
            found.append(Route(path, "GET", callback.needs["GET"], is_stream=True))
            continue
        assert issubclass(view, APIView)
        methods = [method for method in METHODS if hasattr(view, method.lower())]
        found += [Route(path, method, needs_of(view, method)) for method in methods]
    return found


def test_every_route_declares_what_it_needs() -> None:
    undeclared = [str(route) for route in routes() if route.needs is None]
    assert not undeclared
    assert len(routes()) > 80


def test_only_sign_in_health_and_the_document_are_open_to_anybody() -> None:
    open_to_all = {str(route) for route in routes() if route.needs and route.needs.anybody}
    assert open_to_all == {
        "POST /auth/login",
        "POST /auth/ldap/login",
        "POST /auth/refresh",
        "POST /auth/token-login",
        "GET /auth/settings",
        "GET /health",
        "GET /health/live",
        "GET /health/ready",
        "GET /health/detailed",
        "GET /api-spec/openapi.json",
    }


def test_run_tokens_reach_only_what_is_named_here() -> None:
    """A new door for a running program is a decision: it is written down here."""
    assert {str(route) for route in routes() if route.needs and route.needs.execution} == {
        "GET /api/v1/executions",
        "GET /api/v1/executions/<int:pk>",
        "GET /api/v1/executions/<int:pk>/logs/<ref:stream>",
        "GET /api/v1/executions/<int:pk>/logs/<ref:stream>/stream",
        "GET /api/v1/executions/stream",
        "POST /api/v1/executions/execute",
        "POST /api/v1/events",
        "GET /api/v1/keys/<path:ref>",
        *MANAGING,
    }
    assert {str(route) for route in routes() if route.needs and route.needs.sensor} == {
        "GET /api/v1/rules",
        "GET /api/v1/rules/enabled",
        "GET /api/v1/rules/<ref:ref>",
        "GET /api/v1/triggers/<ref:trigger_ref>/rules",
        "POST /api/v1/events",
        "POST /api/v1/keys",
        "GET /api/v1/keys/<path:ref>",
        "PUT /api/v1/keys/<path:ref>",
    }


def test_who_may_install_and_who_may_only_look_is_written_down_here() -> None:
    written = {
        f"{line.split()[0]} /api/v1/{line.split()[1]}": role
        for role, lines in PACK_DOORS.items()
        for line in lines.strip().splitlines()
    }
    older = re.compile(r"api/v1/packs(/<ref:ref>(/(enable|disable))?|/<ref:pack_ref>/\w+)?")
    found = {
        str(route): route.needs and route.needs.role
        for route in routes()
        if route.path.startswith(("api/v1/packs", "api/v1/pack-indices")) and not older.fullmatch(route.path)
    }
    assert found == written


@pytest.mark.django_db
@pytest.mark.parametrize("door", sorted(MANAGING))
def test_the_four_batch_operations_take_an_executions_token_only_with_an_administrators_right(
    door: str, api: Callable[..., APIClient], people: Callable[[str], Any]
) -> None:
    method, path = door.split()

    def status(**fields: Any) -> int:
        given = {"action_ref": "core.register_packs", "pack_ref": "core"} | fields
        client = api(token=running_execution(**given)[1])
        return client.generic(method, path, b"{}", content_type="application/json").status_code

    assert status(requested_by=people("admin")) == 422  # let in, and told what is missing
    people("admin").groups.clear()
    assert status(requested_by=people("admin")) == 403  # the right is what it is now, not what it was
    assert status(requested_by=people("editor")) == status() == 403
    assert status(requested_by=people("editor"), action_ref="mine.act", pack_ref="mine") == 403


@pytest.mark.django_db
def test_an_editor_deletes_what_was_made_in_a_form_and_an_administrator_uninstalls(
    api: Callable[..., APIClient], make_pack: Callable[..., Any]
) -> None:
    api("editor").post("/api/v1/packs", {"ref": "formed", "label": "Formed", "version": "1.0.0"})
    make_pack("filed")
    assert api("editor").delete("/api/v1/packs/formed").status_code == 200
    assert api("editor").delete("/api/v1/packs/filed").status_code == 403
    assert api("admin").delete("/api/v1/packs/filed").status_code == 200


def test_a_view_that_declares_nothing_lets_nobody_in() -> None:
    class Forgotten(APIView):
        def get(self, request: Any) -> None:
            raise AssertionError("reached")

    assert needs_of(Forgotten, "GET") is None


@pytest.mark.django_db
def test_each_role_and_token_reaches_what_is_declared_for_it_and_nothing_else(
    api: Callable[..., APIClient], token_of: Callable[[str], str]
) -> None:
    clients = {"": api("")} | {role.group: api(role.group) for role in Role}
    clients["execution"] = api(token=running_execution()[1])
    clients["sensor"] = api(token=running_sensor()[1])
    callers: dict[str, Principal | None] = {"": None}
    callers |= {role.group: Principal("user", role.group, role=role) for role in Role}
    callers |= {"execution": Principal("execution", "execution"), "sensor": Principal("sensor", "sensor")}
    wrong = []
    for route in routes():
        if route.is_stream:
            continue  # asked on the running server, in test_streams.py
        for name, client in clients.items():
            status = client.generic(route.method, route.address, b"{}", content_type="application/json").status_code
            allowed = bool(route.needs and route.needs.met_by(callers[name]))
            refused = status == 401 if name == "" else status == 403
            narrowed = allowed and name in ("execution", "sensor")  # may still be refused what is not their own
            ours = status in (401, 403) and route.path.startswith("auth/") and route.needs and route.needs.anybody
            if status >= 500 or (refused == allowed and not narrowed and not ours):
                wrong.append(f"{name or 'nobody'}: {route} answered {status}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.django_db
def test_somebody_without_any_role_may_only_see_who_they_are(
    api: Callable[..., APIClient], people: Callable[[str], Any], token_of: Callable[[str], str]
) -> None:
    text = token_of("viewer")
    people("viewer").groups.clear()
    client = api(token=text)
    assert client.get("/auth/me").json()["data"]["effective_permissions"] == []
    assert client.get("/api/v1/packs").status_code == 403


@pytest.mark.django_db
def test_a_session_of_the_admin_needs_the_csrf_token_to_change_something(people: Callable[[str], Any]) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(people("editor"))
    assert client.get("/api/v1/packs").status_code == 200
    assert (
        client.post("/api/v1/packs", {"ref": "a", "label": "A", "version": "1.0.0"}, format="json").status_code == 403
    )
