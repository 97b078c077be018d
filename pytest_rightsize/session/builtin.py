"""The package's own providers, meters and reports: modules whose hooks are called as anyone's are."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

__all__ = ["BuiltIn", "builtin_plugins"]


class BuiltIn:
    """All of them as one plugin: pytest looks through each plugin for hooks and fixtures, and this takes its time."""

    def __init__(self) -> None:
        """Load the modules."""
        self._modules = tuple(builtin_plugins().values())

    def pytest_rightsize_providers(self) -> Mapping[str, Any]:
        """The providers of this package."""
        return self._named("pytest_rightsize_providers")

    def pytest_rightsize_meters(self) -> Mapping[str, Any]:
        """The meters of this package."""
        return self._named("pytest_rightsize_meters")

    def pytest_rightsize_reports(self) -> Mapping[str, Any]:
        """The reports of this package."""
        return self._named("pytest_rightsize_reports")

    def _named(self, hook: str) -> Mapping[str, Any]:
        classes: dict[str, Any] = {}
        for module in self._modules:
            if hasattr(module, hook):
                classes |= getattr(module, hook)()
        return classes


def builtin_plugins() -> dict[str, ModuleType]:
    """The modules by the names they are registered under; none loads anything heavy."""
    from pytest_rightsize.meters import cpu_time, declared, nvml, prometheus, rapl, served_model
    from pytest_rightsize.providers import replay
    from pytest_rightsize.providers.llama_cpp import provider as llama_cpp
    from pytest_rightsize.providers.openai import provider as openai
    from pytest_rightsize.reports import badge, markdown, tables
    from pytest_rightsize.reports.html import report as html

    modules = {
        "llama_cpp": llama_cpp,
        "openai": openai,
        "replay": replay,
        "cpu_time": cpu_time,
        "declared": declared,
        "nvml": nvml,
        "prometheus": prometheus,
        "rapl": rapl,
        "served_model": served_model,
        "html": html,
        "markdown": markdown,
        "tables": tables,
        "badge": badge,
    }
    return {f"rightsize-{name}": module for name, module in modules.items()}
