#!/usr/bin/env python
"""Django's commands for this project."""

import os
import sys
from importlib import import_module

WITHOUT_MODELS = ("up", "venue")
"""Commands that go on for days and need no model: the registry of Django's applications would cost each 40 MB."""


def main() -> None:
    """Run the command of the command line, or say in one line what is missing to run any."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingbot.settings")
    if sys.version_info < (3, 11):  # noqa: UP036  an older one may well be asked
        sys.exit("Python 3.11 or newer is needed: use `make`, which finds one, or .venv/bin/python manage.py")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed in this Python: use `make`, or .venv/bin/python manage.py")
    try:
        if sys.argv[1:2] and sys.argv[1] in WITHOUT_MODELS:
            _run_without_models(sys.argv)
        else:
            execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Error: {error}")


def _run_without_models(arguments: list[str]) -> None:
    from logging.config import dictConfig

    from django.conf import settings

    dictConfig(settings.LOGGING)  # Django's own defaults would load its pages of errors
    import_module(f"tradingbot.management.commands.{arguments[1]}").Command().run_from_argv(arguments)


if __name__ == "__main__":
    main()
