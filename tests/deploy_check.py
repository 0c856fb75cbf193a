"""`manage.py check --deploy` on the settings of a production installation, every warning a failure."""

import os
import subprocess
import sys
import tempfile

PRODUCTION = {
    "ATTUNE_MODE": "server",
    "DATABASE_URL": "postgres://attune:a-password@db.example.org/attune",
    "REDIS_URL": "redis://:a-password@redis.example.org/0",
    "ATTUNE_API_URL": "https://attune.example.org",
    "ATTUNE_HOST": "0.0.0.0",
    "ALLOWED_HOSTS": "attune.example.org",
    "SECRET_KEY": "a-production-key-for-this-check-only-0123456789-abcdefghijklmnop",
    "ATTUNE_ENCRYPTION_KEY": "another-key-for-this-check-only-0123456789-abcdefghijklmnop",
    "ATTUNE_SANDBOX": "none",  # whether one works here says nothing of what was built
}
if os.geteuid() == 0:
    PRODUCTION["ATTUNE_RUN_AS"] = "nobody"

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
        sys.exit(
            subprocess.run(command, env=os.environ | PRODUCTION | {"ATTUNE_DATA_DIR": folder}, check=False).returncode
        )
