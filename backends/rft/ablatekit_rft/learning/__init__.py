"""From verified rollouts to new weights."""
