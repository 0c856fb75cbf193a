"""The tables of this room: what pack folders define, and how packs come and go."""

from apps.packs.models.definitions import (
    Action,
    Component,
    Key,
    KeyGrant,
    Pack,
    Runtime,
    Sandbox,
    Sensor,
    Start,
    Trigger,
)
from apps.packs.models.installs import Installation, PackIndex, PackTest, PackVersion

__all__ = [
    "Action",
    "Component",
    "Installation",
    "Key",
    "KeyGrant",
    "Pack",
    "PackIndex",
    "PackTest",
    "PackVersion",
    "Runtime",
    "Sandbox",
    "Sensor",
    "Start",
    "Trigger",
]
