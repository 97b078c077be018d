"""The table `[cluster]` of a ladder file: where rungs of the provider `ray` run, for all of them; pure.

Tables of rungs come in, and go out with what the cluster's table says where a rung says nothing itself.
"""

from collections.abc import Mapping
from dataclasses import replace

from pytest_rightsize.config.spreads import RungTable
from pytest_rightsize.config.table_checks import check_keys, check_type, subtable
from pytest_rightsize.records import Json

__all__ = ["CLUSTER_KEYS", "with_cluster"]

CLUSTER_KEYS: Mapping[str, type] = {"address": str, "runtime_env": dict, "trusted": bool}
"""The keys of the table `[cluster]`, with their types."""
_PROVIDER = "ray"


def with_cluster(tables: Mapping[str, RungTable], plain: Mapping[str, Json], *, where: str) -> dict[str, RungTable]:
    """The tables of rungs, completed by the table `[cluster]` of `plain`; raises ConfigError."""
    cluster = subtable(plain, "cluster", where)
    check_keys(cluster, CLUSTER_KEYS, where=f"{where} [cluster]")
    for key, value in cluster.items():
        check_type(value, CLUSTER_KEYS[key], where=f"{where} [cluster]: {key}")
    return {
        name: replace(one, table={**cluster, **one.table}) if one.table.get("provider") == _PROVIDER else one
        for name, one in tables.items()
    }
