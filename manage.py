#!/usr/bin/env python
"""Django's commands for this project."""

import os
import sys


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
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
