"""The package's own providers, meters and reports: modules that are registered through the same hooks as anyone's."""

from types import ModuleType

__all__ = ["builtin_plugins"]


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
