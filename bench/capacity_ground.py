"""What pods stand on, and how long they take to come: assumptions, each to be replaced by a cluster's own.

docs/capacity.md says where each is from. Knows no song.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ground:
    """What pods stand on. The times are assumptions, see docs/capacity.md."""

    # Median of a lognormal, from asking for a GPU node until it runs pods, and the logarithm's deviation.
    node_s: float = 180.0
    node_spread: float = 0.35
    # Image of 8 GB to a new node.
    pull_s: float = 45.0
    # Weights read (8.3 GB), their digest computed, a first short song made.
    load_s: float = 40.0
    # An empty node stays, and is paid, for so long.
    node_kept_s: float = 600.0
    slots: int = 1
    # Losses of a pod with its node, for each hour of a pod.
    losses_per_hour: float = 0.0
    # gateway: replicas, and songs in the making at once at all of them
    replicas: int = 2
    workers: int = 10**9
    # songs that each replica begins beyond free slots; services/gateway/work/pods.py
    ahead: int = 1
    # When counting of pods begins: before, the fleet is not yet as large as the songs want it.
    counted_s: float = 0.0
