"""The brief: the answer on one screen and one sheet of paper."""
