"""The modules that come with the package and enter by the same hooks as anyone's own: its providers and meters."""

from types import ModuleType

__all__ = ["builtin_plugins"]


def builtin_plugins() -> dict[str, ModuleType]:
    """Each by the name it is registered under; none of them loads anything heavy."""
    from pytest_rightsize.meters import cpu_time, declared, nvml, prometheus, rapl, served_model
    from pytest_rightsize.providers import llama_cpp, openai, replay

    modules = (llama_cpp, openai, replay, cpu_time, declared, nvml, prometheus, rapl, served_model)
    return {f"rightsize-{module.__name__.rpartition('.')[2]}": module for module in modules}
