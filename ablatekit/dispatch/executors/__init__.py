"""Where runs execute: one file per way."""
