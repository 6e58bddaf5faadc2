"""Celery's processes without Celery's command line, which loads Flower, a shell and their libraries into each of them.

`celery -A tradingbot.celery_app …` works as well, for 12 MB more a process (docs/decisions/0007).
"""
