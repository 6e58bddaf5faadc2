"""Everything from the environment (see .env.example); paper trading unless told otherwise."""

from __future__ import annotations

import secrets
from pathlib import Path

import environ

from tradingbot import servers

ROOT = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(ROOT / ".env")

VAR_DIR = Path(env("VAR_DIR", default="") or ROOT / "var").resolve()


def _secret(name: str) -> str:
    """Return the variable, else a random value kept in VAR_DIR (readable by the owner alone)."""
    value: str = env(name, default="")
    if value:
        return value
    file = VAR_DIR / name.lower()
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(48))
    return file.read_text().strip()


SECRET_KEY = _secret("SECRET_KEY")
ENCRYPTION_KEYS = [key.strip() for key in _secret("ENCRYPTION_KEY").split(",")]  # newest first; old ones still decrypt
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", "testserver"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# Servers: ours from wheels under VAR_DIR when the variables are empty.
_embedded = servers.urls(VAR_DIR)
DATABASE_URL = env("DATABASE_URL", default="") or _embedded.database
REDIS_URL = env("REDIS_URL", default="") or _embedded.redis
DATABASES = {"default": env.db_url_config(DATABASE_URL or "postgres://tradingbot@127.0.0.1:1/tradingbot")}
DATABASES["default"] |= {
    "ENGINE": "django.db.backends.postgresql",
    "CONN_MAX_AGE": 600,
    "CONN_HEALTH_CHECKS": True,
    "OPTIONS": {
        "connect_timeout": 5,
        "options": "-c statement_timeout=5s -c lock_timeout=2s -c idle_in_transaction_session_timeout=10s",
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

# The venue. `paper` is our own ProjectX-compatible venue on this machine; `projectx` is the real one.
TRADING_VENUE = env("TRADING_VENUE", default="paper")
PROJECTX_BASE_URL = env("PROJECTX_BASE_URL", default="https://api.topstepx.com")
PROJECTX_USERNAME = env("PROJECTX_USERNAME", default="")
PROJECTX_API_KEY = env("PROJECTX_API_KEY", default="")
PROJECTX_BRACKET_TICKS = env("PROJECTX_BRACKET_TICKS", default="signed")
ORDERS_ON_HOSTED_MACHINE = env.bool("ORDERS_ON_HOSTED_MACHINE", default=False)
HOSTED = bool(env("RAILWAY_ENVIRONMENT", default="") or env("DYNO", default="") or env("FLY_APP_NAME", default=""))
TAG_PREFIX = env("TAG_PREFIX", default="tb")

WEB_HOST = env("WEB_HOST", default="127.0.0.1")
WEB_PORT = env.int("PORT", default=0) or env.int("WEB_PORT", default=8000)
FLOWER_PORT = env.int("FLOWER_PORT", default=5555)
VENUE_PORT = env.int("VENUE_PORT", default=8700)
VENUE_SEED = env.int("VENUE_SEED", default=7)
VENUE_REPLAY = env.list("VENUE_REPLAY", default=[])
VENUE_SLIPPAGE_TICKS = env.int("VENUE_SLIPPAGE_TICKS", default=1)
ADMIN_PASSWORD = env("ADMIN_PASSWORD", default="") or _secret("ADMIN_PASSWORD_FILE")[:16]
FLOWER_BASIC_AUTH = env("FLOWER_BASIC_AUTH", default="") or f"admin:{ADMIN_PASSWORD}"

DISCORD_WEBHOOK_URL = env("DISCORD_WEBHOOK_URL", default="")
DISCORD_NOTIFICATIONS_ENABLED = env.bool("DISCORD_NOTIFICATIONS_ENABLED", default=bool(DISCORD_WEBHOOK_URL))

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
TIME_ZONE = env("TIME_ZONE", default="America/New_York")  # of the pages only; rows are UTC
LANGUAGE_CODE = "en-us"
STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
SILENCED_SYSTEM_CHECKS: list[str] = []

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.SessionAuthentication",
        "rest_framework.authentication.TokenAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
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
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
}

LOG_LEVEL = env("LOG_LEVEL", default="INFO").upper()
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
