"""What every level must fulfil, as tests that a plugin's own test suite inherits."""
