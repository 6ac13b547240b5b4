"""From any table of runs to what it may be analysed by: factors, contexts, seeds, a response."""
