"""The package's own providers, meters and reports: hooks that are called as any plugin's are."""

from collections.abc import Mapping
from typing import Any

import pluggy

from pytest_rightsize.contributions import ModuleClasses

__all__ = ["BuiltIn"]

_hookimpl = pluggy.HookimplMarker("pytest")
# The modules by the names that their hooks give to the classes: a session imports those that it uses, and no other.
_PROVIDERS = {
    "callable": "pytest_rightsize.providers.callables",
    "cascade": "pytest_rightsize.providers.cascade",
    "command": "pytest_rightsize.providers.programs",
    "llama_cpp": "pytest_rightsize.providers.llama_cpp.provider",
    "onnx": "pytest_rightsize.providers.onnx",
    "openai": "pytest_rightsize.providers.openai.provider",
    "ray": "pytest_rightsize.hosting.ray.provider",
    "replay": "pytest_rightsize.providers.replay",
    "transcription": "pytest_rightsize.providers.openai.transcriptions",
    "uci": "pytest_rightsize.providers.uci",
}
_METERS = {
    name: f"pytest_rightsize.meters.{name}"
    for name in ("cpu_time", "declared", "nvml", "prometheus", "rapl", "served_model")
}
_REPORTS = {
    "html": "pytest_rightsize.reports.html.report",
    "markdown": "pytest_rightsize.reports.markdown",
    "csv": "pytest_rightsize.reports.tables",
    "json": "pytest_rightsize.reports.tables",
    "badge": "pytest_rightsize.reports.badge",
}


class BuiltIn:
    """All of them as one plugin: pytest looks through each plugin for hooks and fixtures, and this takes its time."""

    @_hookimpl
    def pytest_rightsize_providers(self) -> Mapping[str, Any]:
        """The providers of this package."""
        return ModuleClasses("pytest_rightsize_providers", _PROVIDERS)

    @_hookimpl
    def pytest_rightsize_meters(self) -> Mapping[str, Any]:
        """The meters of this package."""
        return ModuleClasses("pytest_rightsize_meters", _METERS)

    @_hookimpl
    def pytest_rightsize_reports(self) -> Mapping[str, Any]:
        """The reports of this package."""
        return ModuleClasses("pytest_rightsize_reports", _REPORTS)
