"""For authors of plugins: conformance suites of what extends the backend."""
