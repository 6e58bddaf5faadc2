"""`acts` in a process of its own.

Listens on the socket of its only argument; one JSON list [name, arguments] a line, one JSON value back.
"""

from __future__ import annotations

import json
import socket
import sys

import django
from django.db import close_old_connections, connections


def main(path: str) -> None:
    django.setup()
    from tests.chaos.acts import CALLS

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        connection, _ = listener.accept()
    with connection, connection.makefile("rw") as stream:
        for line in stream:
            name, arguments = json.loads(line)
            close_old_connections()
            try:
                answer = {"value": CALLS[name](**arguments)}
            except Exception as error:
                connections.close_all()
                answer = {"error": f"{type(error).__name__}: {error}"}
            stream.write(json.dumps(answer) + "\n")
            stream.flush()


if __name__ == "__main__":
    main(sys.argv[1])
