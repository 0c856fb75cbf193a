"""The database itself keeps entries of the audit log: none is changed, and only retention takes any away."""

from django.db import migrations

POSTGRESQL = (
    """
    CREATE FUNCTION attune_audit_log_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND current_setting('attune.retention', true) = 'on' THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'The audit log is only ever added to; % is refused.', TG_OP;
    END $$
    """,
    """
    CREATE TRIGGER audit_log_only_grows BEFORE UPDATE OR DELETE ON access_auditentry
    FOR EACH ROW EXECUTE FUNCTION attune_audit_log_only_grows()
    """,
    """
    CREATE TRIGGER audit_log_is_not_emptied BEFORE TRUNCATE ON access_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION attune_audit_log_only_grows()
    """,
)
SQLITE = (
    """
    CREATE TRIGGER audit_log_only_grows BEFORE UPDATE ON access_auditentry
    BEGIN SELECT RAISE(ABORT, 'The audit log is only ever added to; UPDATE is refused.'); END
    """,
)


def guard(apps, schema_editor):
    for statement in {"postgresql": POSTGRESQL, "sqlite": SQLITE}.get(schema_editor.connection.vendor, ()):
        schema_editor.execute(statement, params=None)


def unguard(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION attune_audit_log_only_grows() CASCADE")
    elif schema_editor.connection.vendor == "sqlite":
        schema_editor.execute("DROP TRIGGER audit_log_only_grows")


class Migration(migrations.Migration):
    dependencies = [("access", "0001_initial")]
    operations = [migrations.RunPython(guard, unguard)]
