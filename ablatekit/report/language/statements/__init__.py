"""The words of every code of a statement, by the subject that it speaks of."""
