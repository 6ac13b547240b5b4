"""Design choices as functions: every level with its formula, source and needs (`registry`)."""
