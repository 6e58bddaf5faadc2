"""How old the newest data of each contract is: a connected hub may be silent, so the socket's state tells nothing."""

from __future__ import annotations

from collections.abc import Iterable


class Ages:
    """When each key last had data; times are time.monotonic()."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    def watch(self, keys: Iterable[str], now: float) -> None:
        """Watch exactly these; a new one counts as seen now."""
        self._seen = {key: self._seen.get(key, now) for key in keys}

    def saw(self, key: str, at: float) -> None:
        if key in self._seen:
            self._seen[key] = at

    def restart(self, now: float) -> None:
        """Let all begin anew: data may not come for a while after a connect."""
        self._seen = dict.fromkeys(self._seen, now)

    def age(self, key: str, now: float) -> float:
        """Return the seconds since the last data, infinity for what is not watched."""
        return now - self._seen[key] if key in self._seen else float("inf")

    def silent(self, now: float, after: float) -> set[str]:
        """Return the keys that had no data for `after` seconds."""
        return {key for key, at in self._seen.items() if now - at > after}

    def __len__(self) -> int:
        return len(self._seen)
