"""From files and run directories to the tables that analysis reads."""
