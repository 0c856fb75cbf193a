"""Every setting of Attune, read from the environment (and `.env`); the only place that asks which mode we are in."""

from __future__ import annotations

import re
import secrets as _random
import sys
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from apps.access.sso import configuration as sign_on
from attune.lib import labels
from attune.lib.confining import account, ports
from attune.lib.processes import open_private
from attune.unfold import UNFOLD  # noqa: F401  (the admin reads it)

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(BASE_DIR / ".env")

ATTUNE_VERSION = "0.1.0"
ATTUNE_MODE = env.str("ATTUNE_MODE", "embedded")
if ATTUNE_MODE not in ("embedded", "server"):
    raise ImproperlyConfigured(f"ATTUNE_MODE is {ATTUNE_MODE!r}; set it to 'embedded' or 'server'.")
SERVER_MODE = ATTUNE_MODE == "server"


def _path(name: str, default: str) -> Path:
    given = Path(env.str(name, default)).expanduser()
    return (given if given.is_absolute() else BASE_DIR / given).resolve()


# Folders and addresses -----------------------------------------------------------------------------------------------
ATTUNE_DATA_DIR = _path("ATTUNE_DATA_DIR", "var")
ATTUNE_PACKS_DIR = _path("ATTUNE_PACKS_DIR", "packs")
ATTUNE_SYSTEM_PACKS_DIR = BASE_DIR / "packs"
ATTUNE_LOG_DIR = ATTUNE_DATA_DIR / "logs"
ATTUNE_ARTIFACTS_DIR = ATTUNE_DATA_DIR / "artifacts"
ATTUNE_ENVS_DIR = ATTUNE_DATA_DIR / "environments"
ATTUNE_TMP_DIR = ATTUNE_DATA_DIR / "tmp"
ATTUNE_VERSIONS_DIR = ATTUNE_DATA_DIR / "packs"  # installed versions, each a folder that never changes
ATTUNE_HOST = env.str("ATTUNE_HOST", "127.0.0.1")
ATTUNE_PORT = env.int("ATTUNE_PORT", 8000)
_OPEN_HOSTS = ("0.0.0.0", "::", "")  # noqa: S104  (they are only recognised here)
ATTUNE_API_URL = env.str(
    "ATTUNE_API_URL", f"http://{'127.0.0.1' if ATTUNE_HOST in _OPEN_HOSTS else ATTUNE_HOST}:{ATTUNE_PORT}"
).rstrip("/")
ATTUNE_DATA_DIR.mkdir(parents=True, exist_ok=True)


def _secret(name: str) -> str:
    """The secret from the environment; in embedded mode one is made once and kept in the data folder (mode 0600)."""
    given = env.str(name, "")
    fault = _fault_of(given)
    if SERVER_MODE and fault:
        raise ImproperlyConfigured(
            f"{name} {fault}. In server mode every process needs the same one, which nobody can guess; make one with: "
            "python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    if given:
        return given
    kept = ATTUNE_DATA_DIR / f"{name.lower()}.txt"
    try:
        with open_private(kept, exclusive=True) as file:
            file.write(_random.token_urlsafe(48))
    except FileExistsError:
        pass
    return kept.read_text().strip()


def _fault_of(secret: str) -> str:
    """What is wrong with a secret that an operator gives, as the end of a sentence; empty if nothing is."""
    if not secret:
        return "is not set"
    if len(secret) < 32:
        return f"has only {len(secret)} characters of the 32 it needs"
    if len(set(secret)) < 8 or secret.lower().startswith(("django-insecure", "changeme", "change-me", "change_me")):
        return "is a placeholder"
    return ""


SECRET_KEY = _secret("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ATTUNE_ENCRYPTION_KEY = _secret("ATTUNE_ENCRYPTION_KEY")
if SERVER_MODE and ATTUNE_ENCRYPTION_KEY == SECRET_KEY:
    raise ImproperlyConfigured(
        "ATTUNE_ENCRYPTION_KEY is the same as SECRET_KEY; make another one, so that who learns the one that signs "
        "sessions cannot open what is stored."
    )
ATTUNE_ENCRYPTION_KEY_FALLBACKS = env.list("ATTUNE_ENCRYPTION_KEY_FALLBACKS", default=[])

# Work ----------------------------------------------------------------------------------------------------------------
ATTUNE_WORKERS = env.int("ATTUNE_WORKERS", 8)  # actions that one worker process runs at a time
try:
    ATTUNE_WORKER_LABELS = labels.read(env.str("ATTUNE_WORKER_LABELS", ""))  # what actions' worker_selector asks for
except ValueError as _fault:
    raise ImproperlyConfigured(f"ATTUNE_WORKER_LABELS: {_fault}.") from None
ATTUNE_DEFAULT_TIMEOUT = env.int("ATTUNE_DEFAULT_TIMEOUT", 600)  # seconds
ATTUNE_KILL_GRACE = env.float("ATTUNE_KILL_GRACE", 10.0)  # seconds between TERM and KILL
ATTUNE_PYTHON_RUNNER = env.str("ATTUNE_PYTHON_RUNNER", "cold")  # or warm: how Python actions start that say nothing
if ATTUNE_PYTHON_RUNNER not in ("warm", "cold"):
    raise ImproperlyConfigured(f"ATTUNE_PYTHON_RUNNER is {ATTUNE_PYTHON_RUNNER!r}; set it to 'warm' or 'cold'.")
ATTUNE_PYTHON_IDLE = env.float("ATTUNE_PYTHON_IDLE", 300.0)  # seconds until a warm Python that nobody needs is ended
# What each process of a pack's program may use at most, 0: as much as there is. An action may ask for less.
ATTUNE_LIMITS = {
    "cpu_seconds": env.int("ATTUNE_LIMIT_CPU_SECONDS", 0),
    "memory_mb": env.int("ATTUNE_LIMIT_MEMORY_MB", 4096),
    "open_files": env.int("ATTUNE_LIMIT_OPEN_FILES", 4096),
    "processes": env.int("ATTUNE_LIMIT_PROCESSES", 0),
    "file_size_mb": env.int("ATTUNE_LIMIT_FILE_SIZE_MB", 10_240),
}
for _name, _limit in ATTUNE_LIMITS.items():
    if not 0 <= _limit < 2**21:
        raise ImproperlyConfigured(
            f"ATTUNE_LIMIT_{_name.upper()} is {_limit}; give a number from 1, or 0 for no limit."
        )
ATTUNE_SANDBOX = env.str("ATTUNE_SANDBOX", "auto")  # where it works; bwrap: always; none: only actions that ask for it
if ATTUNE_SANDBOX not in ("auto", "bwrap", "none"):
    raise ImproperlyConfigured(f"ATTUNE_SANDBOX is {ATTUNE_SANDBOX!r}; set it to 'auto', 'bwrap' or 'none'.")
ATTUNE_SANDBOX_READ = env.list("ATTUNE_SANDBOX_READ", default=[])  # what sandboxed actions may read beside their own
ATTUNE_SANDBOX_WRITE = env.list("ATTUNE_SANDBOX_WRITE", default=[])  # and write
for _given in (*ATTUNE_SANDBOX_READ, *ATTUNE_SANDBOX_WRITE):
    if not Path(_given).is_absolute():
        raise ImproperlyConfigured(f"ATTUNE_SANDBOX_READ or _WRITE names {_given!r}; give absolute paths.")
ATTUNE_CONTAINERS = env.str("ATTUNE_CONTAINERS", "auto")  # what runs actions of `docker`: podman, docker, none
if ATTUNE_CONTAINERS not in ("auto", "podman", "docker", "none"):
    raise ImproperlyConfigured(f"ATTUNE_CONTAINERS is {ATTUNE_CONTAINERS!r}; set it to auto, podman, docker or none.")
ATTUNE_CONTAINER_PULL = env.str("ATTUNE_CONTAINER_PULL", "never")  # missing: fetch images that are not there
if ATTUNE_CONTAINER_PULL not in ("never", "missing"):
    raise ImproperlyConfigured(f"ATTUNE_CONTAINER_PULL is {ATTUNE_CONTAINER_PULL!r}; set it to 'never' or 'missing'.")
ATTUNE_CONTAINER_NETWORK = env.str("ATTUNE_CONTAINER_NETWORK", "bridge")  # or host, or the name of one
if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", ATTUNE_CONTAINER_NETWORK):
    raise ImproperlyConfigured(f"ATTUNE_CONTAINER_NETWORK is {ATTUNE_CONTAINER_NETWORK!r}; give the name of a network.")
_given = env.str("ATTUNE_CLOSED_PORTS", "")  # no action connects to these, on whatever machine
try:
    ATTUNE_CLOSED_PORTS = [ports.numbered(_port) for _port in _given.split(",") if _port.strip()]
except ValueError:
    raise ImproperlyConfigured(
        f"ATTUNE_CLOSED_PORTS is {_given!r}; give numbers from 1 to 65535, with commas between."
    ) from None
if ATTUNE_CLOSED_PORTS and not ports.can_be_closed():
    raise ImproperlyConfigured(
        "ATTUNE_CLOSED_PORTS cannot be kept: it needs Linux 6.7 or later with Landlock switched on. Take it away, and "
        "give the servers on those ports passwords."
    )
ATTUNE_NO_NEW_PRIVILEGES = env.bool("ATTUNE_NO_NEW_PRIVILEGES", True)  # sudo and the like do nothing for actions
try:
    ATTUNE_ACCOUNT = account.find(env.str("ATTUNE_RUN_AS", ""))  # the user that actions and sensors run as
except ValueError as _fault:
    raise ImproperlyConfigured(f"ATTUNE_RUN_AS: {_fault}.") from None
ATTUNE_SDK_COMPATIBILITY = env.bool(
    "ATTUNE_SDK_COMPATIBILITY", True
)  # packs may call attune-sdk as older releases were
ATTUNE_LOG_LIMIT = env.int("ATTUNE_LOG_LIMIT", 10 * 1024 * 1024)  # bytes kept of each output stream
ATTUNE_LEASE = env.float("ATTUNE_LEASE", 15.0)  # seconds without a sign of life until a worker or host counts as dead
ATTUNE_MAX_LOST_ATTEMPTS = env.int("ATTUNE_MAX_LOST_ATTEMPTS", 3)  # of an idempotent action, until it is poisoned
ATTUNE_SWEEP = env.float("ATTUNE_SWEEP", 5.0)  # seconds between two looks for forgotten work
ATTUNE_PAYLOAD_LIMIT = env.int("ATTUNE_PAYLOAD_LIMIT", 1024 * 1024)  # bytes of one event
ATTUNE_MAX_CHAIN = env.int("ATTUNE_MAX_CHAIN", 10)  # executions that may lead to one another
ATTUNE_MAX_UNDECIDED = env.int("ATTUNE_MAX_UNDECIDED", 1_000_000)  # events waiting for rules; beyond, no more are taken
ATTUNE_MAX_WAITING = env.int("ATTUNE_MAX_WAITING", 1_000_000)  # executions waiting for a worker; the same
ATTUNE_DISK_RESERVE = env.int("ATTUNE_DISK_RESERVE", 256 * 1024 * 1024)  # bytes of the data folder's disk; the same
ATTUNE_METRICS_TOKEN = env.str("ATTUNE_METRICS_TOKEN", "")
ATTUNE_INSTALL_BEGIN = env.float("ATTUNE_INSTALL_BEGIN", 20.0)  # seconds that a request waits for a worker to begin
ATTUNE_FORMER_VERSIONS = env.int("ATTUNE_FORMER_VERSIONS", 3)  # former ones of each pack, to go back to
ATTUNE_PACK_INDICES = env.list("ATTUNE_PACK_INDICES", default=[])  # where packs can be had by name: URLs, files
ATTUNE_INDEX_TTL = env.int("ATTUNE_INDEX_TTL", 300)  # seconds until an index is read again
ATTUNE_LOCAL_REPOSITORIES = env.bool("ATTUNE_LOCAL_REPOSITORIES", not SERVER_MODE)  # may packs come from git+/a/path
ATTUNE_TRUSTED_PROXIES = env.list("ATTUNE_TRUSTED_PROXIES", default=[])  # networks whose X-Forwarded-For is believed
for _network in ATTUNE_TRUSTED_PROXIES:
    try:
        ip_network(_network, strict=False)
    except ValueError as _fault:
        raise ImproperlyConfigured(f"ATTUNE_TRUSTED_PROXIES: {_fault}; write addresses or networks.") from None
ATTUNE_ADMIN_USER = env.str("ATTUNE_ADMIN_USER", "admin")
ATTUNE_ADMIN_PASSWORD = env.str("ATTUNE_ADMIN_PASSWORD", "")
ATTUNE_ACCESS_TOKEN_LIFETIME = env.int("ATTUNE_ACCESS_TOKEN_LIFETIME", 3600)  # seconds
ATTUNE_REFRESH_TOKEN_LIFETIME = env.int("ATTUNE_REFRESH_TOKEN_LIFETIME", 14 * 24 * 3600)  # seconds

# Signing in elsewhere: docs/sign-on.md
ATTUNE_LOCAL_LOGIN = env.bool("ATTUNE_LOCAL_LOGIN", True)  # with passwords that are kept here; else superusers alone
ATTUNE_SIGN_ON_SESSION = env.int("ATTUNE_SIGN_ON_SESSION", 12 * 3600)  # seconds until one has to sign in there again
OIDC = LDAP = None
if env.str("OIDC_ISSUER", ""):
    OIDC = sign_on.oidc(
        issuer=env.str("OIDC_ISSUER"),
        client_id=env.str("OIDC_CLIENT_ID", ""),
        client_secret=env.str("OIDC_CLIENT_SECRET", ""),
        scopes=env.str("OIDC_SCOPES", "openid profile email"),
        name=env.str("OIDC_NAME", "single sign-on"),
        username_claim=env.str("OIDC_USERNAME_CLAIM", "preferred_username"),
        groups_claim=env.str("OIDC_GROUPS_CLAIM", "groups"),
        admission=sign_on.admission(
            "OIDC",
            roles=env.str("OIDC_ROLES", ""),
            default_role=env.str("OIDC_DEFAULT_ROLE", ""),
            create_users=env.bool("OIDC_CREATE_USERS", True),
        ),
    )
if env.str("LDAP_SERVER", ""):
    LDAP = sign_on.ldap(
        servers=env.str("LDAP_SERVER"),
        start_tls=env.bool("LDAP_START_TLS", False),
        ca_file=env.str("LDAP_CA_FILE", ""),
        bind_dn=env.str("LDAP_BIND_DN", ""),
        bind_password=env.str("LDAP_BIND_PASSWORD", ""),
        user_base=env.str("LDAP_USER_BASE", ""),
        user_filter=env.str("LDAP_USER_FILTER", "(uid=%(user)s)"),
        name_attribute=env.str("LDAP_NAME_ATTRIBUTE", "uid"),
        id_attribute=env.str("LDAP_ID_ATTRIBUTE", "entryUUID"),
        group_base=env.str("LDAP_GROUP_BASE", ""),
        group_type=env.str("LDAP_GROUP_TYPE", "groupOfNames"),
        timeout=env.int("LDAP_TIMEOUT", 5),  # seconds
        admission=sign_on.admission(
            "LDAP",
            roles=env.str("LDAP_ROLES", ""),
            default_role=env.str("LDAP_DEFAULT_ROLE", ""),
            create_users=env.bool("LDAP_CREATE_USERS", True),
        ),
    )
AUTHENTICATION_BACKENDS = sign_on.backends(OIDC, LDAP, local_login=ATTUNE_LOCAL_LOGIN)

# Days that things are kept; 0: for ever
ATTUNE_KEEP_EVENTS = env.int("ATTUNE_KEEP_EVENTS", 30)
ATTUNE_KEEP_MISSES = env.int("ATTUNE_KEEP_MISSES", 7)  # events that no rule matched
ATTUNE_KEEP_EXECUTIONS = env.int("ATTUNE_KEEP_EXECUTIONS", 30)
ATTUNE_KEEP_DELIVERIES = env.int("ATTUNE_KEEP_DELIVERIES", 14)
ATTUNE_KEEP_AUDIT = env.int("ATTUNE_KEEP_AUDIT", 365)
ATTUNE_KEEP_INSTALLS = env.int("ATTUNE_KEEP_INSTALLS", 365)  # and tests of packs
ATTUNE_KEEP_WORKERS = env.int("ATTUNE_KEEP_WORKERS", 7)  # after their last sign of life
ATTUNE_KEEP_SESSIONS = env.int("ATTUNE_KEEP_SESSIONS", 7)  # after their end; expired tokens too
for _name, _days in [(name, days) for name, days in globals().items() if name.startswith("ATTUNE_KEEP_")]:
    if _days < 0:
        raise ImproperlyConfigured(f"{_name} is {_days}; give a number of days, or 0 for ever.")

# Database and broker -------------------------------------------------------------------------------------------------
REDIS_URL = env.str("REDIS_URL", "") if SERVER_MODE else ""
ATTUNE_BROKER_NAMESPACE = env.str("ATTUNE_BROKER_NAMESPACE", "attune")
if SERVER_MODE:
    for _name in ("DATABASE_URL", "REDIS_URL"):
        if not env.str(_name, ""):
            raise ImproperlyConfigured(
                f"{_name} is not set; server mode needs it. For one machine use ATTUNE_MODE=embedded."
            )
    DATABASES = {"default": env.db_url("DATABASE_URL")}
    if "postgresql" not in DATABASES["default"]["ENGINE"]:
        raise ImproperlyConfigured(
            "DATABASE_URL is not a PostgreSQL address (postgres://…); server mode needs PostgreSQL."
        )
    DATABASES["default"] |= {
        "ENGINE": "attune.lib.postgresql",
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        # Statements that come often are prepared: PostgreSQL then neither reads nor plans them again. A pooler that
        # hands out another connection with each transaction (PgBouncer's transaction mode) cannot do with that.
        "OPTIONS": {
            "server_side_binding": True,
            "prepare_threshold": 5 if env.bool("ATTUNE_PREPARED_STATEMENTS", True) else None,
        }
        | DATABASES["default"].get("OPTIONS", {}),
    }
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": ATTUNE_DATA_DIR / "attune.sqlite3",
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-2000;",
            },
            "TEST": {"NAME": ATTUNE_DATA_DIR / "test.sqlite3"},
        }
    }
    # Libraries load PostgreSQL's own fields, and the driver with them, wherever they can. Nobody here uses them.
    sys.modules.setdefault("django.contrib.postgres", None)  # type: ignore[arg-type]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Web -----------------------------------------------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", False)
if DEBUG and SERVER_MODE:
    raise ImproperlyConfigured(
        "DEBUG is on, and server mode is not for that: errors would show code and settings to everybody. "
        "Take DEBUG away, or use ATTUNE_MODE=embedded on a machine of your own."
    )
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", urlsplit(ATTUNE_API_URL).hostname or ""]
)
if ATTUNE_HOST not in _OPEN_HOSTS:
    ALLOWED_HOSTS.append(ATTUNE_HOST)
_HTTPS = ATTUNE_API_URL.startswith("https://")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[ATTUNE_API_URL])
SESSION_ENGINE = "apps.access.sessions"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _HTTPS
CSRF_COOKIE_HTTPONLY = True  # scripts read the token from the page
CSRF_COOKIE_SAMESITE = "Strict"
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", _HTTPS)
SECURE_REDIRECT_EXEMPT = [r"^health", r"^metrics$"]
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", 31_536_000 if _HTTPS else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ATTUNE_TRUSTED_PROXIES else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
APPEND_SLASH = True  # for the admin's pages; the API's addresses have no trailing slash and are never redirected
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000
ROOT_URLCONF = "attune.urls"
WSGI_APPLICATION = "attune.asgi.wsgi"
ASGI_APPLICATION = "attune.asgi.application"

INSTALLED_APPS = [
    "attune",  # first: it sets the broker, which must be there before anybody imports an actor
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_jsonform",
    "django_filters",
    "rest_framework",
    "drf_spectacular",
    "apps.access",
    "apps.packs",
    "apps.executions",
    "apps.rules",
    "apps.sensors",
]

MIDDLEWARE = [
    "attune.requests.number",
    "attune.headers.protect",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "attune.requests.refuse_nul",
    "apps.access.refusals.NoteRefusals",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

PASSWORD_HASHERS = [
    "apps.access.hashers.Argon2",  # older hashes are made anew with it when their owner signs in next
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "attune" / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 3600
WHITENOISE_ALLOW_ALL_ORIGINS = False

# API -----------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.access.authentication.BearerToken",
        "apps.access.authentication.AdminSession",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["apps.access.rights.RoleAllows"],
    "DEFAULT_RENDERER_CLASSES": ["attune.lib.api.Renderer"],
    "DEFAULT_PARSER_CLASSES": ["attune.lib.api.Parser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "attune.lib.api.AnyAccept",
    "DEFAULT_PAGINATION_CLASS": "attune.lib.api.Pages",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "attune.lib.api.answer_error",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Attune",
    "DESCRIPTION": "Something happens, rules decide, actions run, everything can be explained.",
    "VERSION": ATTUNE_VERSION,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {
        "EnforcementVerdict": "apps.rules.models.Enforcement.Verdict",
        "ExecutionStatus": "apps.executions.models.Status",
        "InstallationStatus": "apps.packs.models.Installation.Status",
    },
    "SERVE_PERMISSIONS": ["apps.access.rights.RoleAllows"],
}

# Logs ----------------------------------------------------------------------------------------------------------------
LOG_LEVEL = env.str("ATTUNE_LOG_LEVEL", "INFO").upper()
LOG_FORMAT = env.str("ATTUNE_LOG_FORMAT", "line")
if LOG_FORMAT not in ("line", "json"):
    raise ImproperlyConfigured(f"ATTUNE_LOG_FORMAT is {LOG_FORMAT!r}; set it to 'line' or 'json'.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "attune.lib.loglines.Line"}, "json": {"()": "attune.lib.loglines.Json"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "dramatiq": {"level": "WARNING"},
        "dramatiq.broker": {"level": "ERROR"},  # one pool for each queue is meant: it warns of their number
        "uvicorn": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},  # strangers' doing; the answer says what is wrong
    },
}
