"""What `ablatekit` offers Python: studies, results with their tables, pages and figures."""
