"""`manage.py web`: the web server of an installation with several processes."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from attune.process import Process


class Command(BaseCommand):
    help = "Serve the admin, the API and the webhooks (server mode)."

    def handle(self, *args: Any, **options: Any) -> None:
        Process(web=True, drain=0.0).run(ready=f"Attune's web server is ready: {settings.ATTUNE_API_URL}/admin/")
