"""Names as parts of the names of files."""

from __future__ import annotations

import re

__all__ = ["slug"]


def slug(name: str) -> str:
    """Return a name in small letters, digits and hyphens: `imu → text R@10` is `imu-to-text-r10`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower().replace("→", "to").replace("@", "")).strip("-")
