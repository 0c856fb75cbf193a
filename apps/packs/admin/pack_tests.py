"""Runs of packs' own tests: how many passed, and what the failing cases said."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from apps.access.admin_base import AttuneAdmin
from apps.access.admin_filters import RefFilter
from apps.access.admin_show import badge, duration, moment
from apps.access.principals import Role
from apps.packs.models import Pack, PackTest

_BAD = {"failed", "error"}


class OfPackFilter(RefFilter):
    title, parameter_name = "pack", "pack_ref"


@admin.register(PackTest)
class PackTestAdmin(AttuneAdmin):
    needs = {"view": Role.VIEWER}
    page_template = "attune/pack_test.html"
    list_display = ("number", "shown_status", "pack_ref", "pack_version", "passes", "took", "trigger_reason", "when")
    list_display_links = ("number",)
    list_filter = (OfPackFilter,)
    ordering = ("-id",)
    sortable_by = ()
    deferred = ("result",)

    @admin.display(description="No.")
    def number(self, row: PackTest) -> str:
        return str(row.pk)

    @admin.display(description="Outcome")
    def shown_status(self, row: PackTest) -> SafeString:
        return outcome(row.status)

    @admin.display(description="Passed")
    def passes(self, row: PackTest) -> str:
        return f"{row.passed} of {row.total}"

    @admin.display(description="Took")
    def took(self, row: PackTest) -> str:
        return duration(row.duration_ms)

    @admin.display(description="When")
    def when(self, row: PackTest) -> SafeString:
        return moment(row.created)

    def page(self, request: HttpRequest, row: PackTest) -> dict[str, Any]:
        return {
            "title": f"Tests of {row.pack_ref} {row.pack_version}",
            "outcome": outcome(row.status),
            "tests": summary_of(row.result),
            "pack": Pack.objects.filter(ref=row.pack_ref).first(),
            "took": duration(row.duration_ms),
        }


def outcome(status: str) -> SafeString:
    return badge({"passed": "completed"}.get(status, "failed" if status in _BAD else status), status)


def summary_of(result: dict[str, Any]) -> dict[str, Any]:
    """A result, as the wire has it, with what a page shows of it."""
    suites = []
    for suite in result.get("testSuites") or ():
        if isinstance(suite, dict):
            cases = [_case(case) for case in suite.get("testCases") or () if isinstance(case, dict)]
            suites.append(suite | {"cases": cases, "took": duration(suite.get("durationMs"))})
    return {
        "outcome": outcome(str(result.get("status", ""))),
        "total": result.get("totalTests", 0),
        "passed": result.get("passed", 0),
        "failed": result.get("failed", 0),
        "skipped": result.get("skipped", 0),
        "percent": round(100 * float(result.get("passRate") or 0)),
        "took": duration(result.get("durationMs")),
        "suites": suites,
        "failing": [case | {"suite": suite.get("name")} for suite in suites for case in suite["cases"] if case["bad"]],
    }


def _case(case: dict[str, Any]) -> dict[str, Any]:
    status = str(case.get("status", ""))
    said = "\n".join(str(case[name]) for name in ("errorMessage", "stdout", "stderr") if case.get(name))
    return {
        "name": case.get("name", ""),
        "badge": outcome(status),
        "bad": status in _BAD,
        "said": said,
        "took": duration(case.get("durationMs")),
    }
