"""The restart matrix: real workers under our supervisor, a Valkey of their own, and what befalls both.

The gate for changing the pins of celery, kombu and redis: `make matrix` takes ten minutes and prints a table.
"""
