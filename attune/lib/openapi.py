"""Describing views for the OpenAPI document: what goes in, what comes out, inside which envelope."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from drf_spectacular.drainage import set_override
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    OpenApiTypes,
    extend_schema,
    extend_schema_field,
    inline_serializer,
)
from rest_framework import serializers

from attune.lib.api import PageQuery, Timestamp

extend_schema_field(OpenApiTypes.DATETIME)(Timestamp)


class ErrorAnswer(serializers.Serializer):
    """Every error."""

    error = serializers.CharField(help_text="A stable word for programs.")
    message = serializers.CharField(help_text="A sentence for people.")
    details = serializers.DictField(required=False)


class Done(serializers.Serializer):
    """A deletion that was done."""

    message = serializers.CharField()
    success = serializers.BooleanField()


class Pagination(serializers.Serializer):
    page = serializers.IntegerField()
    page_size = serializers.IntegerField()
    has_next = serializers.BooleanField()
    has_previous = serializers.BooleanField()
    total_items = serializers.IntegerField(required=False)
    total_pages = serializers.IntegerField(required=False)
    total_is_capped = serializers.BooleanField(required=False, help_text="There are more than total_items.")
    before = serializers.IntegerField(required=False, allow_null=True, help_text="Ask with it for what is older.")
    after = serializers.IntegerField(required=False, allow_null=True, help_text="Ask with it for what is newer.")


class Constant(serializers.Field):
    """A field of the wire that has but one value here, such as a placement we do not offer."""

    def __init__(self, value: Any, **kwargs: Any) -> None:
        super().__init__(read_only=True, source="*", **kwargs)
        self.value = value
        kinds = {bool: "boolean", str: "string", list: "array", dict: "object"}
        kind = kinds.get(type(value), "null")
        set_override(self, "field", {"type": kind} | ({"items": {}} if kind == "array" else {}))

    def to_representation(self, value: Any) -> Any:
        return self.value


@extend_schema_field({"type": "object", "additionalProperties": {}})
class Object(serializers.JSONField):
    """Any JSON object; an absent one is shown as `{}`, never as null."""

    default_error_messages = {"object": "This must be a JSON object."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            self.fail("object")
        return super().to_internal_value(data)

    def to_representation(self, value: Any) -> Any:
        return value if isinstance(value, dict) else {}

    def get_attribute(self, instance: Any) -> Any:
        found = super().get_attribute(instance)
        return {} if found is None else found


class PatchedText(serializers.CharField):
    """A text, or the SDK's way of changing one: `{"op": "set", "value": …}`, `{"op": "clear"}`. Null: as it is."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_blank=True, allow_null=True, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, dict) and data.get("op") in ("set", "clear"):
            data = data.get("value", "") if data["op"] == "set" else ""
        return super().to_internal_value(data)


class TextOrNull(serializers.CharField):
    """A text, shown as null where it is empty."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **kwargs)

    def to_representation(self, value: Any) -> Any:
        return str(value) if value else None


def _name(serializer: Any) -> str:
    return serializer.__name__.removesuffix("Serializer")


@cache
def _enveloped(serializer: Any) -> Any:
    fields: dict[str, serializers.Field] = {"data": serializer(), "message": serializers.CharField(required=False)}
    return inline_serializer(f"{_name(serializer)}Answer", fields=fields)


@cache
def _listed(serializer: Any) -> Any:
    fields: dict[str, serializers.Field] = {
        "items": serializer(many=True),
        "data": serializer(many=True),
        "pagination": Pagination(),
    }
    return inline_serializer(f"{_name(serializer)}Page", fields=fields)


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same key within a day is the same request: it has the same answer, and nothing happens twice.",
)


def describe(
    operation: str,
    summary: str,
    *,
    answers: type[serializers.BaseSerializer] | None = None,
    body: type[serializers.BaseSerializer] | None = None,
    query: type[serializers.Serializer] | None = None,
    status: int = 200,
    bare: bool = False,
    text: bool = False,
    once: bool = False,
    also: dict[int, str] | None = None,
) -> Callable[[Any], Any]:
    """Describe one method of a view that answers a single thing, in the envelope unless `bare`; `text` for plain text.

    `once`: it takes the header Idempotency-Key.

    `operation` is the operation's id, as the SDK names it where it knows it.
    """
    answer: Any = None
    if text:
        answer = {(status, "text/plain"): OpenApiTypes.STR}
    elif answers:
        answer = {status: answers if bare else _enveloped(answers)}  # type: ignore[arg-type]
    else:
        answer = {status: OpenApiResponse(description="Done.")}
    for other, why in (also or {}).items():
        answer[other] = OpenApiResponse(ErrorAnswer, description=why)
    answer.setdefault("default", OpenApiResponse(ErrorAnswer, description="An error."))
    return extend_schema(
        operation_id=operation,
        summary=summary,
        request=body,
        parameters=[*([query] if query else []), *([IDEMPOTENCY_KEY] if once else [])] or None,
        responses=answer,
    )


def describe_list(
    operation: str,
    summary: str,
    *,
    answers: type[serializers.BaseSerializer],
    query: type[serializers.Serializer] = PageQuery,
) -> Callable[[Any], Any]:
    """Describe a GET that answers a page of things."""
    listed = _listed(answers)  # type: ignore[arg-type]
    answer = {200: listed, "default": OpenApiResponse(ErrorAnswer, description="An error.")}
    return extend_schema(operation_id=operation, summary=summary, parameters=[query], responses=answer)
