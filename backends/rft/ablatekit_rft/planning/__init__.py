"""What is judged and rendered before the first run. Imports no torch."""
