"""How many cores there are to use."""

from __future__ import annotations

import math
import os
from functools import cache
from pathlib import Path


@cache
def cores(groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Cores that this process may keep busy.

    A container is often given a share of a large machine's time, of which only its control group
    (``groups``) knows; a thread per core of that machine would make it wait most of the time.
    """
    affine = getattr(os, "sched_getaffinity", None)
    there = len(affine(0)) if affine else os.cpu_count() or 1
    return max(1, min(there, math.ceil(_quota(groups) or there)))


def _quota(groups: Path) -> float | None:
    """Cores' worth of time that the control group allows (version 2, then 1), None for all."""
    for files in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        try:
            quota, period = " ".join((groups / file).read_text() for file in files).split()
            return float(quota) / float(period) if float(quota) > 0 else None
        except (OSError, ValueError):  # not there, or "max"
            continue
    return None
