"""Django's settings.

``LAVA_DATA_DIR`` names the data directory of an embedded instance: SQLite, and everything else below it.
``DATABASE_URL`` (``postgres://USER:PASSWORD@HOST:PORT/NAME``) puts the data into PostgreSQL.  Without a data directory
the paths are those of an installed server.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from lava.devices import SHIPPED

_data_directory = os.environ.get("LAVA_DATA_DIR")
DATA_DIR: Path | None = Path(_data_directory) if _data_directory else None
_state = DATA_DIR or Path("/var/lib/lava-server/default")
_configuration = DATA_DIR or Path("/etc/lava-server")


def _secret_key() -> str:
    """Return the instance's key, made on the first start; only this user may read it."""
    if key := os.environ.get("SECRET_KEY"):
        return key
    path = _state / "secret_key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    except OSError:
        return secrets.token_urlsafe(50)  # commands that need no sessions run without a data directory
    with os.fdopen(descriptor, "w") as file:
        key = secrets.token_urlsafe(50)
        file.write(key)
    return key


def _database() -> dict[str, Any]:
    if url := os.environ.get("DATABASE_URL"):
        parts = urlsplit(url)
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": unquote(parts.hostname or dict(parse_qsl(parts.query)).get("host", "")),
            "PORT": str(parts.port or ""),
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
        }
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": _state / "lava.sqlite3",
        "OPTIONS": {
            # A writer takes its lock at the start: no transaction fails half-way because another one wrote meanwhile.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # FULL: what was acknowledged to a slave survives a power cut.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }


SECRET_KEY = _secret_key()
DEBUG = False
ALLOWED_HOSTS = ["[::1]", "127.0.0.1", "localhost", *filter(None, os.environ.get("ALLOWED_HOSTS", "").split(","))]
INSTANCE_NAME = os.environ.get("INSTANCE_NAME", "LAVA")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "lava.server.apps.LabConfig",
    "lava.server.results.apps.ResultsConfig",
    "lava.master",  # no models: lava-master among the commands of lava-server
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "lava.server.security.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "lava.server.authentication.TokenMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "lava.server.urls"
ASGI_APPLICATION = "lava.server.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        "django.template.loaders.filesystem.Loader",
                        "django.template.loaders.app_directories.Loader",
                    ],
                )
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "lava.server.views.context.instance",
            ],
        },
    }
]
DATABASES = {"default": _database()}
AUTH_PASSWORD_VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"}]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
DATETIME_FORMAT = "Y-m-d H:i:s"
STATIC_URL = "/static/"
STATICFILES_DIRS = [Path(__file__).parent / "static"]
# Served from the package itself: nothing has to be collected.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
MEDIA_ROOT = _state / "media"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "lava.server.views.errors.csrf_failure"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
#: refused beyond this: a job definition of some MB is already unusual
DATA_UPLOAD_MAX_MEMORY_SIZE = 20 * 1024 * 1024

#: where a local datagram wakes other processes; PostgreSQL has NOTIFY instead
WAKE_DIR = _state / "wake"
DEVICES_PATH = _configuration / "devices" if DATA_DIR else _configuration / "dispatcher-config" / "devices"
DEVICE_TYPES_PATHS = [
    _configuration / "device-types" if DATA_DIR else _configuration / "dispatcher-config" / "device-types",
    Path("/usr/share/lava-server/device-types"),
    SHIPPED,
]
HEALTH_CHECKS_PATH = (
    _configuration / "health-checks" if DATA_DIR else _configuration / "dispatcher-config" / "health-checks"
)
CONFIGURATION_PATH = _configuration
EXTRA_CONTEXT_VARIABLES: list[str] = []
QUEUE_TIMEOUT_HOURS: int | None = None
EVENT_TOPIC = "org.lavasoftware"
EVENT_SOCKET = "tcp://*:5500"
LOG_SIZE_LIMIT = 5
DEFAULT_TABLE_LENGTH = 25

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)7s %(name)s: %(message)s"}},
    "filters": {
        "database": {
            "()": "django.utils.log.CallbackFilter",
            "callback": "ext://lava.server.log_records.shorten_database_faults",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["database"]}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}
