"""Keys: kept by administrators and by sensors for themselves, read by those who are entitled to them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access import reach
from apps.access.principals import Principal, principal_of
from apps.access.reach import may, narrow
from apps.access.rights import Role, in_packs, open_to
from apps.packs import grants, key_uses, keys
from apps.packs.errors import KeyNotFound
from apps.packs.models import Key
from apps.packs.serializers.keys import (
    Grant,
    GrantRequest,
    KeyChange,
    KeyDetail,
    KeyQuery,
    KeyReadQuery,
    KeyRequest,
    KeySummary,
    KeyUses,
)
from attune.lib.api import answer, body_of, done, narrowed, one_of, page_of, query_of
from attune.lib.openapi import Done, describe, describe_list
from attune.lib.refs import pack_of


def may_decrypt(principal: Principal, key: Key) -> bool:
    """Whether one may have the value: decided on the key that was found, never on how it was spelt."""
    if principal.is_person:
        owns_it = key.owner_user_id is not None and key.owner_user_id == getattr(principal.user, "pk", None)
        return owns_it or may(principal, Role.ADMIN, key)
    who: dict[str, Any] = {
        "pack_ref": principal.pack_ref,
        "action_ref": principal.action_ref,
        "sensor_ref": principal.sensor_ref,
    }
    if keys.may_read(key, **who) or grants.granted([key.pk], grantees=who.values()):
        return True
    if not keys.may_read(key, **who, by_name=True):
        return False
    named = keys.find_many(principal.key_refs(), pack_ref=principal.pack_ref, sensor_ref=principal.sensor_ref)
    return any(found is not None and found.pk == key.pk for found in named.values())


def may_change(principal: Principal, key: Key) -> bool:
    """Administrators any, people their own, sensors what they keep for themselves."""
    if principal.kind == "sensor":
        return key.owner_type == Key.Owner.SENSOR and key.owner_ref == principal.sensor_ref
    return principal.is_person and may_decrypt(principal, key)


def require_owner(principal: Principal, key: Key, alias: str = "") -> None:
    """A new key belongs to a pack of its maker, and no free name of it stands in another pack's way.

    Raises: OutOfReach.
    """
    reach.require(principal, Role.ADMIN, key)
    if alias and principal.is_limited:
        reach.require(principal, Role.ADMIN, pack_of(alias.removeprefix(f"{key.owner_type}.")))


def key_for(principal: Principal, ref: str) -> Key:
    """The key meant by `ref`. Raises: KeyNotFound."""
    found = None if "\0" in ref else keys.find(ref, pack_ref=principal.pack_ref, sensor_ref=principal.sensor_ref)
    if found is None or not may(principal, Role.VIEWER, found):
        raise KeyNotFound(f"There is no key {ref}.")
    return found


def _refusal(principal: Principal, ref: str) -> str:
    said = f"{principal.name} is not entitled to the key {ref}."
    if principal.is_person:
        return said
    grantee = principal.action_ref or principal.sensor_ref
    return f"{said} An administrator can grant it: on the key's page, or with `attune key grant {ref} {grantee}`."


class Keys(APIView):
    needs = {"GET": Role.VIEWER, "POST": open_to(Role.ADMIN, sensor=True, in_packs=True)}

    @describe_list("list_keys", "List keys, without their values", answers=KeySummary, query=KeyQuery)
    def get(self, request: Request) -> Response:
        asked = query_of(request, KeyQuery)
        rows = narrowed(
            narrow(principal_of(request), Key.objects.all()), asked, {"owner_type": "owner_type", "owner": "owner_ref"}
        )
        return page_of(request, rows.defer("sealed"), KeySummary)

    @describe("create_key", "Make a key", body=KeyRequest, answers=KeyDetail, status=201, also={409: "It exists."})
    def post(self, request: Request) -> Response:
        principal = principal_of(request)
        given = body_of(request, KeyRequest)
        owner_type = given["owner_type"]
        owner_ref = given.get(f"owner_{owner_type}_ref") or ""
        if principal.kind == "sensor":
            owner_ref = owner_ref or principal.sensor_ref
            if (owner_type, owner_ref) != (Key.Owner.SENSOR, principal.sensor_ref):
                raise PermissionDenied(f"The token of {principal.name} may only make keys that the sensor owns.")
        require_owner(principal, Key(owner_type=owner_type, owner_ref=owner_ref), given.get("ref") or "")
        owner = self._owner(given, principal) if owner_type == Key.Owner.IDENTITY else None
        key = keys.write(
            value=given["value"],
            actor=principal,
            owner_type=owner_type,
            owner_ref=owner_ref,
            owner_user=owner,
            local_ref=given.get("local_ref") or "",
            ref=given.get("ref") or "",
            name=given.get("name") or "",
            encrypted=given["encrypted"],
            granted_only=given["granted_only"],
        )
        return answer(KeyDetail(key, context={"value": given["value"]}).data, status=201)

    def _owner(self, given: dict[str, Any], principal: Principal) -> Any:
        login = given.get("owner_identity_login")
        return one_of(get_user_model().objects.all(), "user", username=login) if login else principal.user


class KeyView(APIView):
    needs = {
        "GET": open_to(Role.VIEWER, execution=True, sensor=True),
        "PUT": open_to(Role.VIEWER, sensor=True),  # further decided on the key that is found
        "DELETE": in_packs(Role.ADMIN),
    }

    @describe("get_key", "Show a key; its value to those who may decrypt it", query=KeyReadQuery, answers=KeyDetail)
    def get(self, request: Request, ref: str) -> Response:
        principal = principal_of(request)
        decrypt = query_of(request, KeyReadQuery)["decrypt"]
        key = key_for(principal, ref)
        entitled = may_decrypt(principal, key)
        if not entitled and (decrypt or not principal.is_person):
            raise PermissionDenied(_refusal(principal, ref))
        value = keys.read(key, reader=principal) if entitled and decrypt is not False else None
        return answer(KeyDetail(key, context={"value": value}).data)

    @describe("update_key", "Change a key's value or name", body=KeyChange, answers=KeyDetail)
    def put(self, request: Request, ref: str) -> Response:
        principal = principal_of(request)
        key = key_for(principal, ref)
        if not may_change(principal, key):
            raise PermissionDenied(f"{principal.name} may not change the key {ref}.")
        given = body_of(request, KeyChange)
        changed = {"value": given["value"]} if "value" in given else {}
        flags = {name: given.get(name) for name in ("encrypted", "granted_only")}
        keys.update(key, actor=principal, name=given.get("name"), **flags, **changed)
        return answer(KeyDetail(key, context=changed).data)

    @describe("delete_key", "Delete a key", answers=Done, bare=True)
    def delete(self, request: Request, ref: str) -> Response:
        principal = principal_of(request)
        key = key_for(principal, ref)
        reach.require(principal, Role.ADMIN, key)
        keys.delete(key, actor=principal)
        return done(f"Key {ref} is deleted.")


class Grants(APIView):
    needs = {"GET": Role.ADMIN, "POST": Role.ADMIN}

    @describe_list("list_key_grants", "List whom a key is granted to", answers=Grant)
    def get(self, request: Request, ref: str) -> Response:
        return page_of(request, key_for(principal_of(request), ref).grants.all(), Grant)

    @describe("grant_key", "Let a pack or component have a key", body=GrantRequest, answers=Grant, status=201)
    def post(self, request: Request, ref: str) -> Response:
        principal = principal_of(request)
        key = key_for(principal, ref)
        row = grants.grant(key, body_of(request, GrantRequest)["grantee"], actor=principal)
        return answer(Grant(row).data, status=201)


class GrantView(APIView):
    needs = {"DELETE": Role.ADMIN}

    @describe("revoke_key", "Take a grant of a key back", answers=Done, bare=True)
    def delete(self, request: Request, ref: str, grantee: str) -> Response:
        principal = principal_of(request)
        key = key_for(principal, ref)
        grants.revoke(key, grantee, actor=principal)
        return done(f"Key {key.ref} is no longer granted to {grantee}.")


class Uses(APIView):
    needs = {"GET": Role.ADMIN}

    @describe("get_key_uses", "Show where a key is named, and who read it last", answers=KeyUses)
    def get(self, request: Request, ref: str) -> Response:
        key = key_for(principal_of(request), ref)
        facts = {name: getattr(key, name) for name in ("ref", "last_read_at", "last_read_by", "reads")}
        uses = [named.as_dict() for named in key_uses.uses_of(key)]
        return answer(KeyUses(facts | {"uses": uses}).data)
