"""A verifier as a user writes one."""

from __future__ import annotations


def judge(_question: str, gold: str, completion: str) -> bool | None:
    return completion == gold if gold.strip() else None
