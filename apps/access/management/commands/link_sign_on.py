"""`manage.py link_sign_on anna <subject>`: who comes with that identity from the provider gets this account."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.access.sso import people


class Command(BaseCommand):
    help = "Link an account to the identity of its person at the sign-on provider or in the directory."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the name of the account here")
        parser.add_argument("subject", help="what the provider calls the person for ever; the audit log has it")
        parser.add_argument("--ldap", action="store_true", help="the directory's identity, not the OpenID provider's")

    def handle(self, *args: Any, user: str, subject: str, ldap: bool, **options: Any) -> None:
        issuer = "ldap" if ldap else settings.OIDC.issuer if settings.OIDC else ""
        if not issuer:
            raise CommandError("OIDC_ISSUER is not set; for an identity of the directory say --ldap.")
        found = get_user_model().objects.filter(username=user).first()
        if found is None:
            raise CommandError(f"There is no user {user}; make one in the admin, or name another.")
        people.link(found, issuer=issuer, subject=subject, actor="command")
        self.stdout.write(f"Whoever is {subject} at {issuer} signs in as {user} from now on.")
