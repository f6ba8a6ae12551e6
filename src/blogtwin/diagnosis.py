"""What this machine has and lacks: the findings that `doctor` shows.

Backends and runtimes say themselves why they cannot serve; the same sentence is the error when one is forced.
"""

from __future__ import annotations
