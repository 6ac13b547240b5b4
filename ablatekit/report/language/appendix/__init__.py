"""Words of the appendix: findings, explained terms, and what tables have no numbers of."""
