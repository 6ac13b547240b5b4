# Run from this folder with mvtnorm, multcomp and jsonlite installed: writes reference.json.
suppressMessages({library(mvtnorm); library(multcomp); library(jsonlite)})
set.seed(20)
quick <- GenzBretz(maxpts = 25000, abseps = 1e-4)
precise <- GenzBretz(maxpts = 1e6, abseps = 1e-5)
correlation <- function(v, v0) {
  b <- sqrt(v0 / (v0 + v)); R <- outer(b, b); diag(R) <- 1; R
}
chance <- function(t, v, v0, df, sides) {
  k <- length(v); lower <- if (sides == "two") -abs(t) else -Inf; upper <- if (sides == "two") abs(t) else t
  1 - pmvt(rep(lower, k), rep(upper, k), df = df, corr = correlation(v, v0), algorithm = precise)
}
case <- function(t, v, v0, df) {
  df_or_zero <- if (is.finite(df)) df else 0  # pmvt: 0 is normal
  list(statistic = t, variance = v, baseline = v0, df = if (is.finite(df)) df else "infinite",
       two = sapply(t, chance, v, v0, df_or_zero, "two"),
       one = sapply(t, chance, v, v0, df_or_zero, "one"))
}
probabilities <- list(
  case(c(0.4, -1.1, 2.2, 3.1, 2.6), 1 / c(4, 4, 3, 2, 5), 1 / 6, 22),
  case(c(2.5, 1.9, -0.2), c(0.5, 0.5, 0.5), 0.5, 5),
  case(c(2.0, 12.0), c(1, 0.25), 0.5, 1),
  case(c(1.0, 2.0, 3.0, -2.7, 0.1, 1.6, 2.2, 2.4), 1 / c(1, 2, 3, 4, 5, 6, 7, 8), 1 / 2, Inf),
  case(c(-3.0, 2.9), c(1, 1), 0, 9)
)
# Unequal groups: multcomp's single-step p, for data that R ships.
data(warpbreaks); unequal <- warpbreaks[-c(1, 2, 20, 21, 22, 40), ]
unequal$cell <- interaction(unequal$wool, unequal$tension)
model <- lm(breaks ~ cell, unequal)
test <- glht(model, linfct = mcp(cell = "Dunnett"))
s <- summary(test, test = adjusted(type = "single-step", maxpts = 1e6, abseps = 1e-5))
fitted <- list(
  count = as.numeric(table(unequal$cell)), mean = as.numeric(tapply(unequal$breaks, unequal$cell, mean)),
  sigma = sigma(model), df = df.residual(model),
  statistic = as.numeric(s$test$tstat), p = as.numeric(s$test$pvalues),
  critical = qmvt(0.95, tail = "both.tails", df = df.residual(model), algorithm = quick,
                  corr = cov2cor(vcov(test)))$quantile
)
# Hsu's comparisons with the best, unequal groups (Hsu 1996, 4.2.2), from its definition.
best <- function(mean, count, sigma, df, level) {
  k <- length(mean)
  d <- sapply(1:k, function(i) qmvt(level, tail = "lower.tail", df = df, corr = correlation(1 / count[-i], 1 / count[i]),
                                    algorithm = quick)$quantile)
  gap <- function(i, j, d) mean[i] - mean[j] + d * sigma * sqrt(1 / count[i] + 1 / count[j])
  high <- sapply(1:k, function(i) max(0, min(sapply(setdiff(1:k, i), function(j) gap(i, j, d[i])))))
  G <- which(high > 0)
  low <- sapply(1:k, function(i) {
    rivals <- setdiff(G, i)
    if (length(rivals) == 0) 0 else min(sapply(rivals, function(j) gap(i, j, -d[j])))
  })
  list(critical = d, low = low, high = high, candidates = G)
}
fitted$best <- best(fitted$mean, fitted$count, fitted$sigma, fitted$df, 0.95)
fitted$best_of_few <- best(fitted$mean[3:6], fitted$count[3:6], 8, 9, 0.9)
write_json(list(info = list(R = R.version.string, mvtnorm = as.character(packageVersion("mvtnorm")),
                multcomp = as.character(packageVersion("multcomp"))),
                probabilities = probabilities, warpbreaks = fitted),
           "reference.json", digits = 12, auto_unbox = TRUE, pretty = TRUE)
