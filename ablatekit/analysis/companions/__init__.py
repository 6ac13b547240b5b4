"""What stands beside the effect table."""
