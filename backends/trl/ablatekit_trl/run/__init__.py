"""A run: TRL's trainer with rft's prompts and rewards, and rft's evaluation between its rounds."""
