"""Any program as an ablatekit backend."""

__version__ = "0.1.0"
