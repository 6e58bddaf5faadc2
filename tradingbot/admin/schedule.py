"""The beat schedule as it is: written from code, read-only here."""

from __future__ import annotations

from django.contrib import admin
from django_celery_beat import admin as beat

from tradingbot.admin import columns
from tradingbot.admin.facts import FactAdmin

for model in (beat.PeriodicTask, beat.IntervalSchedule, beat.CrontabSchedule, beat.SolarSchedule, beat.ClockedSchedule):
    admin.site.unregister(model)

TASK = columns.column("task_name", "task", lambda row: row.task.removeprefix("tradingbot.tasks."), order="task")
WHEN = columns.column("when", "when", lambda row: str(row.scheduler))


@admin.register(beat.PeriodicTask)
class PeriodicTaskAdmin(FactAdmin):
    list_display = ("name", TASK, WHEN, "expire_seconds", "last_run_at", "total_run_count", "enabled")
    list_select_related = ("interval", "crontab")
    list_filter = ("enabled", "queue")
    search_fields = ("name", "task")
    titles = {"expire_seconds": "expires after s", "last_run_at": "last run", "total_run_count": "runs"}
    fields = (("name", "task"), (WHEN, "queue", "expire_seconds"), ("last_run_at", "total_run_count", "enabled"))
