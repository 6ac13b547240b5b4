"""Which design choices of a training recipe matter, by how much, and would it hold elsewhere?"""

__version__ = "0.1.0"
