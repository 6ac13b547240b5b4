"""What a run is on disk: its directory, its events, its locks, its records and its seeds."""
