"""Warnings of `rightsize doctor` about what is open to the network: model servers of this machine, and Ray."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pytest_rightsize.providers.listening import open_addresses
from pytest_rightsize.providers.locality import host_of, is_this_machine
from pytest_rightsize.records import Rung

__all__ = ["exposed_endpoint", "exposed_ray"]

_DEFAULT_PORTS = {"http": 80, "https": 443}
# https://docs.ray.io/en/latest/ray-core/configure.html#ports-configurations
_RAY_PORTS = {8265: "dashboard", 10001: "client server", 6379: "GCS"}
_CURRENT_CLUSTER = "ray/ray_current_cluster"


def exposed_endpoint(rung: Rung, environment: Mapping[str, str] = os.environ) -> str | None:
    """A warning where the rung's server runs on this machine and other machines reach it too; else None."""
    variable = rung.options.get("base_url_env")
    url = environment.get(variable, "") if isinstance(variable, str) else rung.options.get("base_url")
    host = host_of(url) if isinstance(url, str) else None
    if not isinstance(url, str) or host is None or not is_this_machine(host):
        return None
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    addresses = open_addresses(port)
    if not addresses:
        return None
    return (
        f"port {port} is open to the network ({', '.join(addresses)}): whoever reaches this machine can use the model, "
        f"and may see what others ask. Start the server with --host 127.0.0.1 (Ollama: OLLAMA_HOST=127.0.0.1)"
    )


def exposed_ray(environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """A warning for each port of Ray on this machine that other machines reach; none where there is no Ray."""
    ports = dict(_RAY_PORTS) if _runs_ray(environment) else {8265: _RAY_PORTS[8265]}
    for port, name in ports.items():
        addresses = open_addresses(port)
        if addresses:
            yield (
                f"port {port}, that of Ray's {name}, is open to the network ({', '.join(addresses)}): Ray asks for no "
                f"password, and whoever reaches it can run programs here. Start Ray with --dashboard-host=127.0.0.1 "
                f"and --node-ip-address=127.0.0.1, or close the port in the firewall"
            )


def _runs_ray(environment: Mapping[str, str]) -> bool:
    """Whether Ray has been started on this machine, or this environment names a cluster."""
    folder = Path(environment.get("RAY_TMPDIR") or "/tmp")
    return bool(environment.get("RAY_ADDRESS")) or (folder / _CURRENT_CLUSTER).exists()
