"""The package's own providers, meters and reports: modules that enter by the same hooks as anyone's."""

from types import ModuleType

__all__ = ["builtin_plugins"]


def builtin_plugins() -> dict[str, ModuleType]:
    """Each by the name it is registered under; none of them loads anything heavy."""
    from pytest_rightsize.meters import cpu_time, declared, nvml, prometheus, rapl, served_model
    from pytest_rightsize.providers import llama_cpp, openai, replay
    from pytest_rightsize.reports import badge, html, markdown, tables

    meters = (cpu_time, declared, nvml, prometheus, rapl, served_model)
    modules = (llama_cpp, openai, replay, *meters, html, markdown, tables, badge)
    return {f"rightsize-{module.__name__.rpartition('.')[2]}": module for module in modules}
