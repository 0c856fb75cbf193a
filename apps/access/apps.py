"""The Django application of this room; it says which entries of the audit log are about which pack."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "apps.access"

    def ready(self) -> None:
        from apps.access.models import AuditEntry
        from apps.access.reach import By, register

        register(
            AuditEntry,
            By("target", when={"category": "pack"}),
            By("target", component=True, when={"category": "pack"}),
            By("target", component=True, when={"category": "admin"}),
            *(By("target", component=True, after=f"{kind}.", when={"category": "secret"}) for kind in KEYS_OF_PACKS),
            owner="identity",  # of what has no pack, such as a single run, one sees what one did oneself
        )


KEYS_OF_PACKS = ("pack", "action", "sensor")  # how the refs of keys begin that belong to a pack or a part of one
