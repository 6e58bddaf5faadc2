"""Flower reads this file as its options: never without a login, and no password on the command line."""

from django.conf import settings

basic_auth = [settings.FLOWER_BASIC_AUTH]
persistent = False
max_tasks = 2000
