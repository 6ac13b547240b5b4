"""Advantages: what a reward is compared with."""
