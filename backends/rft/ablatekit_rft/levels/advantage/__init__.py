"""Advantages: what a rollout's reward is compared with. One module per kind of comparison."""

from __future__ import annotations

FIRST = ("round", "group", "remembered")
"""The modules that documentation lists first, from the simplest comparison on."""
