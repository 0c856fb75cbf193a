"""Loaded before Django's settings: gives a test run a data folder of its own, and the mode it was asked for."""

import atexit
import os
import shutil
import tempfile
import uuid

if "ATTUNE_TEST_KEEP" not in os.environ:
    _folder = tempfile.mkdtemp(prefix="attune-test-")
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)
    os.environ["ATTUNE_DATA_DIR"] = _folder
os.environ.setdefault("ATTUNE_ADMIN_PASSWORD", "")
os.environ["ATTUNE_BROKER_NAMESPACE"] = f"attune-test-{uuid.uuid4().hex[:8]}"
os.environ["ATTUNE_LOG_LEVEL"] = os.environ.get("ATTUNE_LOG_LEVEL", "WARNING")
os.environ["ATTUNE_KILL_GRACE"] = "1.5"
os.environ.setdefault("ATTUNE_SANDBOX", "none")  # actions of tests leave traces; what is about sandboxes asks for one
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
if os.environ.get("ATTUNE_MODE") == "server":
    os.environ.setdefault("DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
    os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:6379/9")
    os.environ.setdefault("SECRET_KEY", "tests-only-" + "x" * 50)
    os.environ.setdefault("ATTUNE_ENCRYPTION_KEY", "tests-only-" + "y" * 50)
