"""What a run reports: names, specifications, the budget, times and memory."""
