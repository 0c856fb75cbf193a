"""The Django application of this room; it says which of its rows belong to which pack."""

from django.apps import AppConfig


class PacksConfig(AppConfig):
    name = "apps.packs"

    def ready(self) -> None:
        from apps.access.reach import By, register
        from apps.packs.models import Action, Installation, Key, Pack, PackTest, PackVersion, Sensor, Trigger

        register(Pack, By("ref"))
        for component in (Action, Trigger, Sensor):
            register(component, By("pack__ref"))
        for of_pack in (Installation, PackTest, PackVersion):
            register(of_pack, By("pack_ref"))
        register(
            Key,
            By("owner_ref", when={"owner_type": "pack"}),
            *(By("owner_ref", component=True, when={"owner_type": kind}) for kind in ("action", "sensor")),
            owner="owner_user_id",
        )
