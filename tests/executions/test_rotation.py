"""The encryption key changes: everything stored is encrypted anew, and the former key can go."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from apps.access.models import AuditEntry
from apps.executions import services
from apps.executions.secrets import reveal
from apps.packs import keys

pytestmark = pytest.mark.embedded_only


def test_keys_and_secret_parameters_are_readable_with_the_new_key_alone(make_action, settings, capsys):
    key = keys.write(local_ref="token", value="abc", actor="test")
    action = make_action(parameters={"p": {"type": "string", "secret": True}})
    execution = services.request_execution(action, parameters={"p": "hidden"})
    former, settings.ATTUNE_ENCRYPTION_KEY = settings.ATTUNE_ENCRYPTION_KEY, "another"
    with pytest.raises(CommandError, match="ATTUNE_ENCRYPTION_KEY_FALLBACKS"):
        call_command("rotate_keys")
    settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS = [former]
    call_command("rotate_keys")
    assert "1 stored secrets, the parameters of 1 executions" in capsys.readouterr().out
    settings.ATTUNE_ENCRYPTION_KEY_FALLBACKS = []
    key.refresh_from_db()
    execution.refresh_from_db()
    assert keys.value_of(key) == "abc" and reveal(execution) == {"p": "hidden"}
    assert AuditEntry.objects.filter(action="key.rotate").exists()
