"""PostgreSQL clusters from a wheel: no installation, no root, no Docker. Independent of what uses them."""

from local.postgres.cluster import HOST, Cluster, running_url, throwaway_cluster
from local.postgres.data_directory import cluster_directory, delete, link, temporary_directory
from local.postgres.errors import (
    ClusterError,
    ClusterInUseError,
    ClusterNotRunningError,
    ClusterStartError,
    ClusterUnusableError,
)

__all__ = [
    "HOST",
    "Cluster",
    "ClusterError",
    "ClusterInUseError",
    "ClusterNotRunningError",
    "ClusterStartError",
    "ClusterUnusableError",
    "cluster_directory",
    "delete",
    "link",
    "running_url",
    "temporary_directory",
    "throwaway_cluster",
]
