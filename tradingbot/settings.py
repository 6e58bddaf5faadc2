"""Everything from the environment (see .env.example); paper trading unless told otherwise."""

from __future__ import annotations

import difflib
import re
import secrets
import sys
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from market.sessions import NEW_YORK
from tradingbot import one_time_codes, servers
from tradingbot.panel import UNFOLD  # noqa: F401  a setting

ROOT = Path(__file__).resolve().parent.parent
env = environ.Env()
_SWITCHES = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
env.read_env(env("ENV_FILE", default="") or ROOT / ".env")

VAR_DIR = Path(env("VAR_DIR", default="") or ROOT / "var").resolve()
try:
    import tradingbot.clock  # noqa: F401  it reads TRADINGBOT_CLOCK, perhaps from .env
except ValueError as error:
    raise ImproperlyConfigured(str(error)) from error


def _text(name: str, default: str = "") -> str:
    """Return the variable, `default` when it is empty."""
    return env(name, default="") or default


def _list(name: str, *default: str) -> list[str]:
    return [text.strip() for text in env(name, default="").split(",") if text.strip()] or [*default]


def _number(name: str, default: int, *, least: int = 0, most: int = 65_535) -> int:
    text = _text(name, str(default))
    if not text.isdecimal() or not least <= int(text) <= most:
        raise ImproperlyConfigured(f"{name}={text}: write a whole number from {least} to {most}")
    return int(text)


def _switch(name: str, *, default: bool) -> bool:
    text = _text(name, str(default)).strip().lower()
    if text not in _SWITCHES:
        raise ImproperlyConfigured(f"{name}={text}: write true or false")
    return _SWITCHES[text]


def _choice(name: str, *choices: str) -> str:
    """Return the variable, the first choice when it is empty."""
    text = _text(name, choices[0])
    if text not in choices:
        raise ImproperlyConfigured(f"{name}={text}: write {' or '.join(choices)}")
    return text


def _secret(name: str, length: int = 48) -> str:
    """Return the variable, else `length` random bytes kept in VAR_DIR as text (readable by the owner alone)."""
    if value := _text(name):
        return value
    file = VAR_DIR / name.lower()
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(length))
    return file.read_text().strip()


def _is_address(text: str, schemes: tuple[str, ...], path: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port  # raises ValueError for what is no port
    except ValueError:
        return False
    named = parts.hostname or parts.scheme.startswith("postgres")  # PostgreSQL's client has a socket's folder
    return bool(parts.scheme in schemes and named and port != 0 and re.fullmatch(path, parts.path))


def _venue(name: str, default: str, *, plain_http: bool = False) -> str:
    """Return the address of a venue: https, or http on this machine; with `plain_http` anywhere."""
    text = _text(name, default)
    good = _is_address(text, ("http", "https"), ".*")
    if good and not plain_http and urlsplit(text).scheme == "http":
        good = urlsplit(text).hostname in ("127.0.0.1", "::1", "localhost")
    if not good:
        raise ImproperlyConfigured(f"{name}: write an {'http:// or ' * plain_http}https:// address, such as {default}")
    return text


def _refuse_unknown_options(options: dict[str, object]) -> None:
    """Name what neither PostgreSQL's client nor psycopg knows, before a connection fails on it."""
    if not options:
        return
    from psycopg.pq import Conninfo

    known = [option.keyword.decode() for option in Conninfo.get_defaults()] + ["prepare_threshold"]
    for name in options.keys() - set(known):
        nearest = difflib.get_close_matches(name, known, n=1)
        hint = f"; {nearest[0]} is" if nearest else ""
        raise ImproperlyConfigured(f"DATABASE_URL: {name} is no option of PostgreSQL's{hint}")


SECRET_KEY = _secret("SECRET_KEY")
ENCRYPTION_KEYS = [key.strip() for key in _secret("ENCRYPTION_KEY").split(",")]  # newest first; old ones still decrypt
DEBUG = _switch("DEBUG", default=False)
ALLOWED_HOSTS = _list("ALLOWED_HOSTS", "localhost", "127.0.0.1", "[::1]", "testserver")
CSRF_TRUSTED_ORIGINS = _list("CSRF_TRUSTED_ORIGINS")

# Servers: ours from wheels under VAR_DIR when the variables are empty.
_embedded = servers.urls(VAR_DIR)
DATABASE_URL = _text("DATABASE_URL", _embedded.database)
REDIS_URL = _text("REDIS_URL", _embedded.redis)
if DATABASE_URL and not _is_address(DATABASE_URL, ("postgres", "postgresql"), r"/.+"):
    raise ImproperlyConfigured("DATABASE_URL: write postgres://user:password@host:port/name; only PostgreSQL will do")
if REDIS_URL and not _is_address(REDIS_URL, ("redis", "rediss"), r"(/\d*)?"):
    raise ImproperlyConfigured("REDIS_URL: write redis://:password@host:port/0")
DATABASES = {"default": env.db_url_config(DATABASE_URL or "postgres://tradingbot@127.0.0.1:1/tradingbot")}
_asked = DATABASES["default"].get("OPTIONS", {})  # behind the address: ?sslmode=verify-full
_refuse_unknown_options(_asked)
_limits = "-c statement_timeout=5s -c lock_timeout=2s -c idle_in_transaction_session_timeout=10s"
DATABASES["default"] |= {
    "ENGINE": "django.db.backends.postgresql",
    "CONN_MAX_AGE": 600,
    "CONN_HEALTH_CHECKS": True,
    "OPTIONS": {
        "connect_timeout": 5,
        **_asked,
        "prepare_threshold": sys.maxsize,  # not None: `operations.statements` prepares, by asking; nothing else does
        "options": f"{_limits} {_asked.get('options', '')}".strip(),
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

# The venue. `paper` is our own ProjectX-compatible venue on this machine; `projectx` is the real one.
TRADING_VENUE = _choice("TRADING_VENUE", "paper", "projectx")
PROJECTX_BASE_URL = _venue("PROJECTX_BASE_URL", "https://api.topstepx.com")
PROJECTX_USERNAME = _text("PROJECTX_USERNAME")
PROJECTX_API_KEY = _text("PROJECTX_API_KEY")
PROJECTX_ACCOUNTS = _list("PROJECTX_ACCOUNTS")
PROJECTX_BRACKET_TICKS = _choice("PROJECTX_BRACKET_TICKS", "signed", "positive")
ORDERS_ON_HOSTED_MACHINE = _switch("ORDERS_ON_HOSTED_MACHINE", default=False)
HOSTED = bool(_text("RAILWAY_ENVIRONMENT") or _text("DYNO") or _text("FLY_APP_NAME"))
TAG_PREFIX = _text("TAG_PREFIX", "tb")
if not re.fullmatch(r"[A-Za-z0-9_-]{1,20}", TAG_PREFIX):  # with our id and -SL the venue's 60 characters suffice
    raise ImproperlyConfigured(f"TAG_PREFIX={TAG_PREFIX}: write at most 20 letters, digits, - and _")
try:
    ARMING_TOTP_SECRET = one_time_codes.secret(text) if (text := _text("ARMING_TOTP_SECRET").strip()) else b""
except ValueError as error:
    raise ImproperlyConfigured(f"ARMING_TOTP_SECRET: {error}") from error

WEB_HOST = _text("WEB_HOST", "127.0.0.1")
WEB_PORT = _number("PORT", 0) or _number("WEB_PORT", 8000, least=1)
FLOWER_PORT = _number("FLOWER_PORT", 5555, least=1)
ADMIN_NAME = "admin"
ADMIN_PASSWORD = _secret("ADMIN_PASSWORD", length=12)
FLOWER_BASIC_AUTH = _text("FLOWER_BASIC_AUTH", f"{ADMIN_NAME}:{ADMIN_PASSWORD}")

# The paper venue: where it listens, where we find it, what it trades.
VENUE_HOST = _text("VENUE_HOST", "127.0.0.1")
VENUE_PORT = _number("VENUE_PORT", 8700, least=1)
VENUE_URL = _venue("VENUE_URL", f"http://127.0.0.1:{VENUE_PORT}", plain_http=True)
VENUE_USER = _text("VENUE_USER", "demo")
VENUE_KEY = _text("VENUE_KEY", "demo")
VENUE_LEDGER = Path(_text("VENUE_LEDGER", str(VAR_DIR / "venue.sqlite3")))
VENUE_SEED = _number("VENUE_SEED", 7, most=2**31)
VENUE_REPLAY = _list("VENUE_REPLAY")
VENUE_FORWARD = [symbol.upper() for symbol in _list("VENUE_FORWARD")]
VENUE_SLIPPAGE_TICKS = _number("VENUE_SLIPPAGE_TICKS", 1, most=100)

WORKER_CHILDREN = {
    "critical": _number("WORKER_CRITICAL", 2, least=1, most=20),
    "high": _number("WORKER_HIGH", 2, least=1, most=20),
    "normal": _number("WORKER_NORMAL", 2, least=1, most=20),
    "low": _number("WORKER_LOW", 1, least=1, most=20),
    "background": _number("WORKER_BACKGROUND", 1, least=1, most=20),
}

DISCORD_WEBHOOK_URL = _text("DISCORD_WEBHOOK_URL")
DISCORD_NOTIFICATIONS_ENABLED = _switch("DISCORD_NOTIFICATIONS_ENABLED", default=bool(DISCORD_WEBHOOK_URL))

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.simple_history",
    "django.contrib.admin.apps.SimpleAdminConfig",  # urls.py discovers: workers need no admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_celery_beat",
    "django_filters",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "simple_history",
    "tradingbot",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
]
ROOT_URLCONF = "tradingbot.urls"
ASGI_APPLICATION = "tradingbot.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "tradingbot" / "templates"],
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
LOGIN_URL = "admin:login"
USE_TZ = True
TIME_ZONE = NEW_YORK  # of the forms, as pages write every time; rows are UTC
LANGUAGE_CODE = "en-us"
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
SILENCED_SYSTEM_CHECKS: list[str] = []
SIMPLE_HISTORY_REVERT_DISABLED = True  # hides the button; `admin.facts.HistoryAdmin` refuses

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.TokenAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["tradingbot.api.permissions.MayChange"],
    "DEFAULT_THROTTLE_RATES": {"token": "5/min"},
    "NUM_PROXIES": 0,  # tries are counted by the connection's address: X-Forwarded-For is what a client likes
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.LimitOffsetPagination",
    "PAGE_SIZE": 100,
    "COERCE_DECIMAL_TO_STRING": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "tradingbot",
    "DESCRIPTION": "Accounts, orders, strategies and decisions; money and prices are decimal strings.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
}

LOG_LEVEL = _choice("LOG_LEVEL", "INFO", "DEBUG", "WARNING", "ERROR", "CRITICAL")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"()": "tradingbot.logs.Formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "django_celery_beat": {"level": "WARNING"},
        "uvicorn.access": {"level": "WARNING"},
    },
}
