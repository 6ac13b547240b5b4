"""From a study to its frozen plan: cells, merged cells, runs, order. Never fits a model."""
