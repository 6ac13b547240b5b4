"""Evaluation on fixed items under fixed decoding."""
