"""From train items to verified rollouts."""
