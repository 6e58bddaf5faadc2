"""The outside world: one port (`base`), one folder a venue."""
