"""The four operations that manage several packs at once, as the wire has them."""

from __future__ import annotations

from rest_framework import serializers

from attune.lib.openapi import Object

_PATHS = "Folders on the server, each with a pack in it."


def _paths(help_text: str = _PATHS) -> serializers.ListField:
    child = serializers.CharField(max_length=2000)
    return serializers.ListField(child=child, allow_empty=False, max_length=100, help_text=help_text)


class DownloadRequest(serializers.Serializer):
    packs = _paths("Names in the indices, git or archive addresses, folders or archives on the server.")
    destination_dir = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=1000)
    ref_spec = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=200)
    registry_url = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=2000)
    timeout = serializers.IntegerField(min_value=1, max_value=3600, default=300, help_text="Seconds for each pack.")
    verify_ssl = serializers.BooleanField(default=True)
    checksum = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=80)


class DownloadedPack(serializers.Serializer):
    source = serializers.CharField()
    source_type = serializers.CharField()
    pack_path = serializers.CharField()
    pack_ref = serializers.CharField()
    pack_version = serializers.CharField()
    git_commit = serializers.CharField(allow_null=True)
    checksum = serializers.CharField(allow_null=True)


class FailedDownload(serializers.Serializer):
    source = serializers.CharField()
    error = serializers.CharField()


class Downloads(serializers.Serializer):
    """What was downloaded, and what was not."""

    downloaded_packs = DownloadedPack(many=True)
    failed_packs = FailedDownload(many=True)
    total_count = serializers.IntegerField()
    success_count = serializers.IntegerField()
    failure_count = serializers.IntegerField()


class DependenciesRequest(serializers.Serializer):
    pack_paths = _paths()
    skip_validation = serializers.BooleanField(default=False, help_text="Look only at the manifests.")


class Dependency(serializers.Serializer):
    pack_ref = serializers.CharField()
    version_spec = serializers.CharField()
    required_by = serializers.CharField()
    already_installed = serializers.BooleanField()


class AnalyzedPack(serializers.Serializer):
    pack_ref = serializers.CharField()
    pack_path = serializers.CharField()
    has_dependencies = serializers.BooleanField()
    dependency_count = serializers.IntegerField()


class PathError(serializers.Serializer):
    pack_path = serializers.CharField()
    error = serializers.CharField()


class Dependencies(serializers.Serializer):
    """What the packs need: of other packs, and of interpreters."""

    dependencies = Dependency(many=True)
    runtime_requirements = Object()
    missing_dependencies = Dependency(many=True)
    analyzed_packs = AnalyzedPack(many=True)
    errors = PathError(many=True)


class BuildRequest(serializers.Serializer):
    pack_paths = _paths()
    packs_base_dir = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=1000)
    python_version = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=60)
    nodejs_version = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=60)
    skip_python = serializers.BooleanField(default=False)
    skip_nodejs = serializers.BooleanField(default=False)
    force_rebuild = serializers.BooleanField(default=False)
    timeout = serializers.IntegerField(min_value=1, max_value=7200, default=600, help_text="Seconds for each pack.")


class BuiltPack(serializers.Serializer):
    pack_ref = serializers.CharField()
    pack_path = serializers.CharField()
    environments = Object()
    duration_ms = serializers.IntegerField()


class FailedBuild(serializers.Serializer):
    pack_ref = serializers.CharField()
    pack_path = serializers.CharField()
    runtime = serializers.CharField()
    error = serializers.CharField()


class BuildSummary(serializers.Serializer):
    total_packs = serializers.IntegerField()
    success_count = serializers.IntegerField()
    failure_count = serializers.IntegerField()
    python_envs_built = serializers.IntegerField()
    nodejs_envs_built = serializers.IntegerField()
    total_duration_ms = serializers.IntegerField()


class Builds(serializers.Serializer):
    """The environments that were built, and those that were not."""

    built_environments = BuiltPack(many=True)
    failed_environments = FailedBuild(many=True)
    summary = BuildSummary()


class RegisterBatchRequest(serializers.Serializer):
    pack_paths = _paths()
    packs_base_dir = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=1000)
    skip_validation = serializers.BooleanField(default=False, help_text="Do not look at the packs that they need.")
    skip_tests = serializers.BooleanField(default=False)
    force = serializers.BooleanField(default=False, help_text="Even if it breaks rules or packs, or is there already.")


class Validation(serializers.Serializer):
    valid = serializers.BooleanField()
    errors = serializers.ListField(child=serializers.CharField())


class RegisteredPack(serializers.Serializer):
    pack_ref = serializers.CharField()
    pack_id = serializers.IntegerField()
    pack_version = serializers.CharField()
    storage_path = serializers.CharField()
    components_registered = Object()
    test_result = Object(required=False)
    validation_results = Validation()
    install_id = serializers.IntegerField()
    install_status = serializers.CharField()


class FailedRegistration(serializers.Serializer):
    pack_ref = serializers.CharField()
    pack_path = serializers.CharField()
    error = serializers.CharField()
    error_stage = serializers.CharField()


class RegisterSummary(serializers.Serializer):
    total_packs = serializers.IntegerField()
    success_count = serializers.IntegerField()
    failure_count = serializers.IntegerField()
    total_components = serializers.IntegerField()
    duration_ms = serializers.IntegerField()


class Registrations(serializers.Serializer):
    """The packs that are installed now, and those that are not."""

    registered_packs = RegisteredPack(many=True)
    failed_packs = FailedRegistration(many=True)
    summary = RegisterSummary()
