"""What plugin authors need: conformance suites and a backend with planted effects."""
