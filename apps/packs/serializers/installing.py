"""Installing, versions, environments and tests of packs as the wire has them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.packs.models import Installation, PackTest
from apps.packs.serializers.packs import PackDetail
from attune.lib.api import PageQuery, Timestamp
from attune.lib.openapi import Object, TextOrNull


# What is asked -------------------------------------------------------------------------------------------------------
class _Waiting(serializers.Serializer):
    wait = serializers.BooleanField(
        default=True, help_text="Answer when it is done; else at once, with the address of its stream."
    )
    timeout = serializers.IntegerField(min_value=1, max_value=7200, required=False, help_text="Seconds for all of it.")


class InstallOptions(_Waiting):
    force = serializers.BooleanField(default=False, help_text="Even if it breaks rules or packs, or is there already.")
    skip_tests = serializers.BooleanField(default=False)
    dry_run = serializers.BooleanField(default=False, help_text="Only say what would change.")


class SourceOptions(InstallOptions):
    ref_spec = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, max_length=200, help_text="Branch, tag, commit or version."
    )
    with_dependencies = serializers.BooleanField(default=False, help_text="Install the packs that it needs, too.")
    skip_deps = serializers.BooleanField(default=False, help_text="Do not look at the packs that it needs.")
    checksum = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=80)
    no_registry = serializers.BooleanField(default=False, help_text="Refuse what is a name in the pack indices.")
    registry_id = serializers.IntegerField(required=False, allow_null=True, help_text="Ask this index alone.")
    verify_ssl = serializers.BooleanField(default=True)


class InstallRequest(SourceOptions):
    """Where a pack is to come from, and how."""

    source = serializers.CharField(
        max_length=2000, help_text="A folder or archive on the server, a git or archive address, or a name: slack@1.2."
    )
    subdirectory = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=500)


class UploadRequest(InstallOptions):
    """A pack as an archive (tar.gz or zip), as multipart form data."""

    pack = serializers.FileField(max_length=255, help_text="The archive.")
    with_dependencies = serializers.BooleanField(default=False)


class UpdateRequest(InstallOptions):
    version = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, max_length=200, help_text="Or a range; default: the latest."
    )
    with_dependencies = serializers.BooleanField(default=False)


class RollbackRequest(_Waiting):
    version = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=60)
    digest = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=80)
    force = serializers.BooleanField(default=False)


class WaitRequest(_Waiting):
    """Nothing but whether to wait."""


class EnvironmentRequest(_Waiting):
    force_rebuild = serializers.BooleanField(default=False)


class EnvironmentWishes(serializers.Serializer):
    """What the operator wants of a pack's environment; it holds from the next build on."""

    constraints = serializers.ListField(child=serializers.CharField(max_length=300), required=False, max_length=200)
    packages = serializers.ListField(child=serializers.CharField(max_length=300), required=False, max_length=200)
    allow_scripts = serializers.BooleanField(required=False, help_text="Let npm run the scripts of packages.")
    sdk_compatibility = serializers.BooleanField(required=False, help_text="Let old calls of attune-sdk work.")


class ConfigRequest(serializers.Serializer):
    config = Object()


class InstallQuery(PageQuery):
    pack_ref = serializers.CharField(required=False)
    status = serializers.ChoiceField(choices=Installation.Status.choices, required=False)
    kind = serializers.ChoiceField(choices=Installation.Kind.choices, required=False)


# What is answered ----------------------------------------------------------------------------------------------------
class InstallationDetail(serializers.Serializer):
    """One change of what is installed, under way or over."""

    install_id = serializers.IntegerField(source="pk")
    kind = serializers.ChoiceField(choices=Installation.Kind.choices)
    source = serializers.CharField()
    pack_ref = serializers.CharField()
    pack_version = serializers.CharField()
    from_version = TextOrNull()
    status = serializers.ChoiceField(choices=Installation.Status.choices)
    step = serializers.CharField()
    percent = serializers.IntegerField()
    log = serializers.CharField()
    error_message = TextOrNull(source="error")
    error_code = TextOrNull()
    error_stage = serializers.SerializerMethodField(help_text="The step at which it failed.")
    result = Object()
    trigger_reason = serializers.CharField()
    requested_by = serializers.CharField()
    attempt = serializers.IntegerField()
    created = Timestamp()
    started_at = serializers.SerializerMethodField()
    finished_at = Timestamp(allow_null=True)
    test_execution_id = serializers.SerializerMethodField()
    test_result = serializers.SerializerMethodField()

    def get_error_stage(self, row: Installation) -> str | None:
        return row.step if row.error else None

    def get_started_at(self, row: Installation) -> str | None:
        return Timestamp().to_representation(row.started_at or row.created)

    def get_test_execution_id(self, row: Installation) -> int | None:
        return row.result.get("test_execution_id") or row.result.get("details", {}).get("test_execution_id")

    def get_test_result(self, row: Installation) -> dict[str, Any] | None:
        return row.result.get("test_result") or row.result.get("details", {}).get("test_result")


class Installed(serializers.Serializer):
    """A pack that was installed, and how; of a dry run only the plan."""

    pack = PackDetail(required=False)
    install_id = serializers.IntegerField()
    install_status = serializers.CharField()
    stream = serializers.CharField(help_text="Where to listen to it (server-sent events).")
    tests_skipped = serializers.BooleanField()
    provenance = Object(required=False)
    test_result = Object(required=False)
    plan = Object(required=False, help_text="What it changed, or would change.")
    unchanged = serializers.BooleanField()
    warnings = serializers.ListField(child=serializers.CharField())


class VersionDetail(serializers.Serializer):
    """A version of a pack that is kept."""

    version = serializers.CharField()
    digest = serializers.CharField()
    path = serializers.CharField()
    source = serializers.CharField()
    source_type = serializers.CharField()
    git_commit = TextOrNull()
    ref_spec = serializers.SerializerMethodField()
    installed_at = Timestamp(source="created")
    installed_by = serializers.CharField()
    left_at = Timestamp(allow_null=True)
    is_current = serializers.SerializerMethodField()
    size = serializers.SerializerMethodField()

    def get_ref_spec(self, row: Any) -> str | None:
        return row.provenance.get("asked", {}).get("ref_spec")

    def get_is_current(self, row: Any) -> bool:
        return row.path == self.context["current"]

    def get_size(self, row: Any) -> int:
        return self.context["size"](row.folder)


class EnvironmentDetail(serializers.Serializer):
    """What a pack's code needs besides itself."""

    wishes = Object(source="environment")
    python = Object()
    nodejs = Object()
    build_log = serializers.CharField()


class ConfigDetail(serializers.Serializer):
    """A pack's configuration; secret values are masked."""

    config = Object()
    effective_config = Object()
    schema = Object()
    faults = serializers.ListField(child=Object())


class ConfigVerdict(serializers.Serializer):
    valid = serializers.BooleanField()
    faults = serializers.ListField(child=Object())


class PackTestDetail(serializers.Serializer):
    """One run of a pack's tests. The wire has these in camel case."""

    id = serializers.IntegerField()
    packId = serializers.SerializerMethodField()
    packRef = serializers.CharField(source="pack_ref")
    packVersion = serializers.CharField(source="pack_version")
    executionTime = Timestamp(source="created")
    triggerReason = serializers.CharField(source="trigger_reason")
    status = serializers.CharField()
    totalTests = serializers.IntegerField(source="total")
    passed = serializers.IntegerField()
    failed = serializers.IntegerField()
    skipped = serializers.IntegerField()
    passRate = serializers.FloatField(source="pass_rate")
    durationMs = serializers.IntegerField(source="duration_ms")
    result = Object()
    created = Timestamp()

    def get_packId(self, row: PackTest) -> int:
        return self.context["pack_id"]
