"""Linear and logistic mixed models with exact small-sample inference, on numpy and scipy only.

The parts, each a pure function on arrays: `formula` (lme4 syntax) -> `design` (coded columns) ->
`sufficient` (one pass over the rows) -> `criterion`/`optimise`/`fit` (profiled REML or ML) ->
`information` (Satterthwaite, Kenward-Roger) -> `tests`, `anova`, `emm`, `variance`.
"""
