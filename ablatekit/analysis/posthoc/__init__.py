"""What is asked of a fitted model: tests, ANOVA, marginal means, variance explained."""
