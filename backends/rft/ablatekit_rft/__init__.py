"""Reinforcement fine-tuning as an ablatekit backend; importing it imports no torch."""

__version__ = "0.1.0"
