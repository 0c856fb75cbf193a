"""Registry indices and the packs in them, as the wire has them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.packs.models import PackIndex
from apps.packs.registry import indices
from apps.packs.registry.documents import ARCHIVE, GIT, Entry
from apps.packs.registry.lookup import Found
from attune.lib.api import Id, Timestamp
from attune.lib.openapi import Object, TextOrNull

POSITION: dict[str, Any] = {"min_value": -(2**31), "max_value": 2**31 - 1}


class IndexRequest(serializers.Serializer):
    """A new index. Its headers are sent to its own server only, and are never shown again."""

    url = serializers.CharField(max_length=2000, help_text="An http(s) address, or a file on the server.")
    name = serializers.CharField(max_length=200, required=False, allow_blank=True, allow_null=True)
    position = serializers.IntegerField(
        required=False,
        allow_null=True,
        help_text="Lower ones are asked first; left out: behind the others.",
        **POSITION,
    )
    enabled = serializers.BooleanField(default=True)
    headers = Object(required=False, allow_null=True)


class IndexChange(serializers.Serializer):
    """What is left out or null stays as it is, and so does a header that is sent back as `********`."""

    url = serializers.CharField(max_length=2000, required=False, allow_null=True)
    name = serializers.CharField(max_length=200, required=False, allow_blank=True, allow_null=True)
    position = serializers.IntegerField(required=False, allow_null=True, **POSITION)
    enabled = serializers.BooleanField(required=False, allow_null=True)
    headers = Object(required=False, allow_null=True)


class IndexDetail(serializers.Serializer):
    """An index; of its headers only the names."""

    id = serializers.IntegerField()
    name = TextOrNull()
    url = serializers.CharField()
    position = serializers.IntegerField()
    enabled = serializers.BooleanField()
    headers = serializers.SerializerMethodField()
    read_at = Timestamp(allow_null=True)
    problem = TextOrNull(help_text="Why it could not be read the last time, or which of its packs cannot be used.")
    created = Timestamp()
    updated = Timestamp()

    def get_headers(self, index: PackIndex) -> dict[str, str]:
        return indices.masked_headers(index)


class IndexDetails(serializers.ListSerializer):
    child = IndexDetail()


class BrowseQuery(serializers.Serializer):
    q = serializers.CharField(required=False, max_length=500, help_text="Words; all of them must be somewhere.")
    registry_id = Id(required=False, help_text="Look in this index only.")
    include_disabled = serializers.BooleanField(default=False, help_text="Look in indices that are disabled, too.")
    limit = serializers.IntegerField(min_value=1, max_value=1000, default=500, help_text="So many at most.")


class InstallSourceShown(serializers.Serializer):
    type = serializers.CharField(help_text=f"{GIT} or {ARCHIVE}")
    url = serializers.CharField()
    ref = serializers.CharField(required=False, help_text="Of a git repository.")
    checksum = serializers.CharField(help_text="Of git: over the tree; of an archive: over its bytes.")


class NamedShown(serializers.Serializer):
    name = serializers.CharField()
    description = serializers.CharField()


class ContentsShown(serializers.Serializer):
    actions = NamedShown(many=True)
    sensors = NamedShown(many=True)
    triggers = NamedShown(many=True)
    rules = NamedShown(many=True)
    workflows = NamedShown(many=True)


class EntryShown(serializers.Serializer):
    """A pack as an index describes it."""

    ref = serializers.CharField()
    label = serializers.CharField()
    description = serializers.CharField()
    version = serializers.CharField()
    author = serializers.CharField()
    license = serializers.CharField()
    keywords = serializers.ListField(child=serializers.CharField())
    runtime_deps = serializers.ListField(child=serializers.CharField())
    install_sources = InstallSourceShown(many=True)
    contents = ContentsShown()
    meta = Object()
    repository = serializers.CharField(required=False)
    email = serializers.CharField(required=False)
    homepage = serializers.CharField(required=False)
    use_case = serializers.CharField(required=False)
    dependencies = Object(required=False)

    def to_representation(self, instance: Entry) -> dict[str, Any]:
        return instance.as_dict()


class RegistryShown(serializers.Serializer):
    id = serializers.IntegerField()
    name = TextOrNull()
    url = serializers.CharField()
    position = serializers.IntegerField()


class IndexedPack(serializers.Serializer):
    """A pack that can be installed by name, where it is from, and how it stands with it here."""

    pack = EntryShown(source="entry")
    registry = RegistryShown(source="index")
    versions = serializers.SerializerMethodField(help_text="All that the index has, newest first.")
    installed_version = serializers.SerializerMethodField()
    update_available = serializers.SerializerMethodField(help_text="A newer one than the installed.")

    def get_versions(self, found: Found) -> list[str]:
        return [entry.version for entry in indices.read(found.index).by_ref.get(found.entry.ref, [])]

    def get_installed_version(self, found: Found) -> str | None:
        return self.context["installed"].get(found.entry.ref)

    def get_update_available(self, found: Found) -> bool:
        return found.is_newer_than(self.context["installed"].get(found.entry.ref))


class IndexedPacks(serializers.ListSerializer):
    child = IndexedPack()
