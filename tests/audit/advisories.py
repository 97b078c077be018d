"""Reads what pip-audit found: advisories, packages that it could not look up, or a service out of reach. Pure."""

import json
from dataclasses import dataclass

__all__ = ["Advisories", "read_advisories"]

# Words of the errors of its HTTP client for a service that is not there.
_UNREACHED = (
    "ConnectionError",
    "ServiceError",
    "Max retries exceeded",
    "timed out",
    "ProxyError",
    "NewConnectionError",
)


@dataclass(frozen=True, kw_only=True)
class Advisories:
    """`found` has a line for each advisory, `unknown` the packages not looked up; `why` is set where that is all."""

    found: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    checked: int = 0
    why: str | None = None


def read_advisories(stdout: str, stderr: str) -> Advisories:
    """What pip-audit found, by its output as JSON; raises ValueError where it failed for another reason."""
    try:
        packages = json.loads(stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (stderr.strip() or "it said nothing").splitlines()[-1]
        if any(word in stderr for word in _UNREACHED):
            return Advisories(why=last[:300])
        raise ValueError(f"pip-audit failed: {last}") from None
    found = [
        f"{package['name']} {package['version']}: {one['id']}, mended in {', '.join(one['fix_versions']) or '?'}"
        for package in packages
        for one in package.get("vulns", ())
    ]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    checked = len(packages) - len(unknown)
    why = None if checked or not packages else f"no package is known to it: {packages[0]['skip_reason']}"
    return Advisories(found=tuple(found), unknown=tuple(unknown), checked=checked, why=why)
