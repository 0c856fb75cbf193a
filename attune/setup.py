"""Make an installation ready to run: tables, groups, runtimes, system packs, an administrator. Safe to repeat."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command

from apps.access import rights
from apps.packs import environments, runtimes
from apps.packs import services as packs
from apps.packs.models import Pack
from attune.lib.errors import AttuneError

Say = Callable[[str], object]


def prepare(say: Say) -> None:
    """Everything a first start needs; `say` gets a line for each thing worth telling."""
    for folder in (
        settings.ATTUNE_LOG_DIR,
        settings.ATTUNE_ARTIFACTS_DIR,
        settings.ATTUNE_ENVS_DIR,
        settings.ATTUNE_TMP_DIR,
        settings.ATTUNE_VERSIONS_DIR,
    ):
        folder.mkdir(parents=True, exist_ok=True)
    call_command("migrate", interactive=False, verbosity=0)
    rights.ensure_groups()
    runtimes.detect()
    for report in packs.load_system_packs():
        if not report.ok:
            say("\n".join([f"Pack {report.ref or report.path} was not loaded:", *map(str, report.faults)]))
        elif report.changed_anything:
            say(f"Pack {report.ref} {report.version} loaded.")
    for pack in Pack.objects.filter(system=True):
        try:
            environments.ensure(pack)
        except AttuneError as error:
            say(error.message)
    for index in packs.ensure_configured_indices():
        say(f"Pack index {index} added.")
    first_administrator(say)


def first_administrator(say: Say) -> None:
    """Make one if there is none: the name and password of the environment, else a password that is told this once."""
    users = get_user_model().objects
    if users.filter(is_superuser=True).exists():
        return
    password = settings.ATTUNE_ADMIN_PASSWORD or secrets.token_urlsafe(12)
    users.create_superuser(settings.ATTUNE_ADMIN_USER, password=password)
    if settings.ATTUNE_ADMIN_PASSWORD:
        say(f"Administrator {settings.ATTUNE_ADMIN_USER} created with the password of ATTUNE_ADMIN_PASSWORD.")
    else:
        say(
            f"Administrator created. Name: {settings.ATTUNE_ADMIN_USER}   Password: {password}\n"
            "Note it now; it is not shown again. (manage.py changepassword sets another.)"
        )
