"""The Django application of this room."""

from django.apps import AppConfig


class PacksConfig(AppConfig):
    name = "apps.packs"
