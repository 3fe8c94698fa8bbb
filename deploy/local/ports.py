"""TCP ports of this machine: which are free. Reserves none."""

import random
import socket

LOOPBACK = "127.0.0.1"
# Below Linux's and macOS's ranges for outgoing connections: one of those could take the port of a service
# that is down for a moment.
FIRST, LAST = 20_000, 29_999
ATTEMPTS = 200


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_ports(count: int) -> list[int]:
    """Distinct ports that are free now. Raises OSError when they are not to be found."""
    found: list[int] = []
    for port in random.sample(range(FIRST, LAST + 1), ATTEMPTS):
        if len(found) < count and is_free(port):
            found.append(port)
    if len(found) < count:
        raise OSError(f"fewer than {count} free TCP ports between {FIRST} and {LAST}")
    return found
