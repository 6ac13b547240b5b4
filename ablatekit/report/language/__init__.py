"""Every English sentence and every written number of a report."""
