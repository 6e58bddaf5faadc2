"""Does this process answer, and what is the state of everything: for the supervisor, a monitor, a person."""

from __future__ import annotations

from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse

from tradingbot import clock
from tradingbot.dashboard import status


def health(request: HttpRequest) -> JsonResponse:
    """Return 200 if PostgreSQL answers and is migrated, else 503 with the reason."""
    problem = database_problem()
    return JsonResponse({"ok": not problem, "problem": problem}, status=503 if problem else 200)


def state(request: HttpRequest) -> JsonResponse:
    """Return what works and what does not, 503 while something required is missing; accounts only to staff."""
    problem = database_problem()
    if problem:
        return JsonResponse({"ok": False, "missing": [problem]}, status=503)
    staff = request.user.is_active and request.user.is_staff
    report = status.read(clock.now(), with_accounts=staff)
    return JsonResponse(report, status=200 if report["ok"] else 503)


def database_problem() -> str:
    """Return why PostgreSQL cannot be used, empty if it can."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        waiting = _unapplied()
    except Error as error:
        return f"PostgreSQL does not answer: {type(error).__name__}"
    return f"{waiting} migration(s) are not applied: run manage.py migrate" if waiting else ""


_migrated = False


def _unapplied() -> int:
    """Return how many migrations wait; once there are none, this process need not look again."""
    global _migrated  # noqa: PLW0603
    if _migrated:
        return 0
    executor = MigrationExecutor(connection)
    waiting = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    _migrated = not waiting
    return waiting
