"""Which part of a search this process has, as the environment tells."""

import dataclasses
import os

TUNER_ID = "KERASTUNER_TUNER_ID"
ORACLE_IP = "KERASTUNER_ORACLE_IP"
ORACLE_PORT = "KERASTUNER_ORACLE_PORT"


@dataclasses.dataclass(frozen=True)
class SearchRole:
    """A chief, or a worker, and where the chief listens.

    Args:
        name: This process's name among all of the search.
        address: The chief's `"host:port"`.

    Example:

    >>> SearchRole("chief", "10.0.0.1:8000").is_chief
    True

    Reference: https://keras.io/keras_tuner/guides/distributed_tuning
    """

    name: str
    address: str

    @property
    def is_chief(self):
        """Whether this process hands out the trials, and runs none."""
        return "chief" in self.name


def read_search_role():
    """Read KerasTuner's environment variables for several machines.

    Returns:
        A `SearchRole`, or `None` if none of the variables is set: then the
        search is this process's alone.

    Raises:
        ValueError: A variable is missing, or its value is no host or port.

    Example:

    >>> role = read_search_role()

    Reference: https://keras.io/keras_tuner/guides/distributed_tuning
    """
    found = {
        name: os.environ.get(name, "").strip()
        for name in (TUNER_ID, ORACLE_IP, ORACLE_PORT)
    }
    if not any(found.values()):
        return None
    if missing := [name for name, value in found.items() if not value]:
        raise ValueError(
            f"Missing environment variable {missing[0]}. Expected all of "
            f"{', '.join(found)} for a search on several machines, or none of "
            f"them. Received: {shown(found)}"
        )
    host, port = found[ORACLE_IP], found[ORACLE_PORT]
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise ValueError(
            f"Invalid value of environment variable {ORACLE_PORT}. Expected a "
            f"port from 1 to 65535. Received: {ORACLE_PORT}={port}"
        )
    if "/" in host or (":" in host and host.count(":") < 2):
        raise ValueError(
            f"Invalid value of environment variable {ORACLE_IP}. Expected the "
            "chief's IP address or host name, and the port in "
            f"{ORACLE_PORT}. Received: {ORACLE_IP}={host}"
        )
    if ":" in host:
        host = f"[{host.strip('[]')}]"
    return SearchRole(found[TUNER_ID], f"{host}:{int(port)}")


def shown(found):
    given = [f"{name}={value}" for name, value in found.items() if value]
    return ", ".join(given)
