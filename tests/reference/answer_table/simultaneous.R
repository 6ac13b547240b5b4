# Rscript simultaneous.R: families of configurations, ratios and doses on cell means. Needs multcomp, mvtnorm, emmeans, jsonlite.
suppressMessages({library(mvtnorm); library(multcomp); library(emmeans); library(jsonlite)}); source("lib.R")
root <- function(f, a, b) uniroot(f, c(a, b), tol=1e-12)$root
genz <- function(lower, upper, R, df) { set.seed(1); pmvt(lower, upper, df=df, corr=R, algorithm=GenzBretz(maxpts=2e5, abseps=1e-7))[1] }
# `mean`, `scale` (variance factors of independent means) and the pooled error; cell `base` against all others.
family <- function(mean, scale, variance, df, base, margin, glht_too=NULL) {
  others <- setdiff(names(mean), base); d <- mean[others] - mean[base]; se <- sqrt(variance * (scale[others] + scale[base])); t <- d / se
  b <- sqrt(scale[base] / (scale[others] + scale[base])); k <- length(others); R <- outer(b, b); diag(R) <- 1; inf <- rep(Inf, k)
  two <- function(q) 1 - product_t(rep(-q, k), rep(q, k), b, df); one <- function(q) 1 - product_t(-inf, rep(q, k), b, df)
  sign <- ifelse(d > 0, 1, -1); tm <- (sign * d - margin) / se
  list(baseline=base, correlation=R, rows=lapply(seq_along(others), function(i) list(cell=others[i], estimate=d[[i]], se=se[[i]], df=df, statistic=t[[i]],
      p_two_sided=two(abs(t[[i]])), p_greater=one(t[[i]]), p_less=one(-t[[i]]), p_two_sided_genz=1 - genz(rep(-abs(t[i]), k), rep(abs(t[i]), k), R, df),
      p_margin_one_sided=one(tm[[i]]), p_margin_two_sided=if (tm[[i]] > 0) two(tm[[i]]) else 1, statistic_margin=tm[[i]])),
    critical_two_sided=root(function(q) two(q) - .05, 1, 9), critical_one_sided=root(function(q) one(q) - .05, .5, 9), margin=margin)
}
# Hsu (1984): cell i may be the best unless some other exceeds it by the one-sided Dunnett value with i as control.
best <- function(mean, scale, variance, df, higher=TRUE) { y <- if (higher) mean else -mean
  lapply(names(y), function(i) { o <- setdiff(names(y), i); b <- sqrt(scale[i] / (scale[o] + scale[i])); t <- (y[o] - y[i]) / sqrt(variance * (scale[o] + scale[i]))
    p <- 1 - product_t(rep(-Inf, length(o)), rep(max(t), length(o)), b, df)
    list(cell=i, estimate=max(y[o]) - y[[i]], statistic=max(t), p=p, may_be_best=p >= .05) }) }
hsu_limits <- function(mean, scale, variance, df) { # Hsu's constrained limits of mean_i - max of the others
  critical <- sapply(setNames(names(mean), names(mean)), function(j) { o <- setdiff(names(mean), j); b <- sqrt(scale[j] / (scale[o] + scale[j])); root(function(q) 1 - product_t(rep(-Inf, length(o)), rep(q, length(o)), b, df) - .05, .5, 9) }); d <- function(j) critical[[j]]
  lapply(names(mean), function(i) { se <- function(i, j) sqrt(variance * (scale[[i]] + scale[[j]])); o <- setdiff(names(mean), i)
  high <- max(0, min(sapply(o, function(j) mean[[i]] - mean[[j]] + d(i) * se(i, j))))
  may <- sapply(names(mean), function(m) min(sapply(setdiff(names(mean), m), function(j) mean[[m]] - mean[[j]] + d(m) * se(m, j))) > 0); m <- names(mean)[may]
  low <- if (identical(m, i)) 0 else min(0, sapply(setdiff(m, i), function(j) mean[[i]] - mean[[j]] - d(j) * se(i, j)))
  list(cell=i, low=low, high=high, critical=d(i)) }) }
out <- list()
set.seed(5); n <- c(base=6, a=3, b=4, c=2, d=7, e=3)   # one context, unequal numbers of runs
one <- data.frame(cell=rep(names(n), n)); one$y <- round(c(base=0, a=.3, b=.9, c=-.2, d=.55, e=1)[one$cell] + rnorm(nrow(one), 0, .4), 4)
write.csv(one, "data/one_way_cells.csv", row.names=FALSE, quote=FALSE)
one$cell <- factor(one$cell, levels=names(n)); m <- lm(y ~ cell, one); mu <- tapply(one$y, one$cell, mean); v <- sigma(m)^2; df <- df.residual(m); sc <- c(1 / table(one$cell)); names(sc) <- names(n)
out$one_way <- family(mu, sc, v, df, "base", .2); out$one_way$best_higher <- best(mu, sc, v, df); out$one_way$best_lower <- best(mu, sc, v, df, FALSE); out$one_way$best_limits <- hsu_limits(mu, sc, v, df)
for (s in c("two.sided", "greater", "less")) { set.seed(1); g <- summary(glht(m, linfct=mcp(cell="Dunnett"), alternative=s), test=adjusted("single-step", abseps=1e-6, maxpts=2e5)); out$one_way[[paste0("glht_", s)]] <- list(cells=levels(one$cell)[-1], p=as.vector(g$test$pvalues)) }
out$one_way$residual <- list(variance=v, df=df)
set.seed(6); k <- expand.grid(run=1:5, cell=c("base", "a", "b", "c"), context=paste0("k", 1:4), stringsAsFactors=FALSE)   # contexts with all cells, unequal n
k <- k[k$run <= sample(2:5, 16, TRUE)[as.integer(factor(paste(k$cell, k$context)))], ]; k$y <- round(c(base=0, a=.2, b=.5, c=.6)[k$cell] + rep(rnorm(4), table(k$context)) + rnorm(nrow(k), 0, .4), 4)
write.csv(k[c("cell", "context", "y")], "data/crossed_cells.csv", row.names=FALSE, quote=FALSE)
cells <- c("base", "a", "b", "c"); m <- lm(y ~ 0 + interaction(cell, context), k); v <- sigma(m)^2; df <- df.residual(m)
sc <- sapply(setNames(cells, cells), function(x) mean(1 / table(k$context[k$cell == x])) / 4); mu <- sapply(setNames(cells, cells), function(x) mean(tapply(k$y[k$cell == x], k$context[k$cell == x], mean)))
out$crossed <- family(mu, sc, v, df, "base", .2); out$crossed$best_higher <- best(mu, sc, v, df); out$crossed$best_limits <- hsu_limits(mu, sc, v, df); out$crossed$residual <- list(variance=v, df=df)
h <- k[!(k$cell == "a" & k$context == "k1") & !(k$cell == "c" & k$context %in% c("k2", "k3")), ]   # contexts that lack a cell: no product correlation
write.csv(h[c("cell", "context", "y")], "data/holes_cells.csv", row.names=FALSE, quote=FALSE)
h$group <- factor(paste(h$cell, h$context)); m <- lm(y ~ 0 + group, h); L <- t(sapply(c("a", "b", "c"), function(x) { q <- intersect(h$context[h$cell == x], h$context[h$cell == "base"]); w <- setNames(numeric(nlevels(h$group)), levels(h$group)); w[paste(x, q)] <- 1 / length(q); w[paste("base", q)] <- -1 / length(q); w }))
d <- drop(L %*% coef(m)); V <- L %*% vcov(m) %*% t(L); se <- sqrt(diag(V)); R <- cov2cor(V); df <- df.residual(m)
out$holes <- list(correlation=R, rows=lapply(1:3, function(i) { t <- d[[i]] / se[[i]]; list(cell=rownames(L)[i], estimate=d[[i]], se=se[[i]], df=df, p_two_sided_genz=1 - genz(rep(-abs(t), 3), rep(abs(t), 3), R, df), p_greater_genz=1 - genz(rep(-Inf, 3), rep(t, 3), R, df)) }),
  critical_two_sided_genz={set.seed(1); qmvt(.95, tail="both.tails", df=df, corr=R, algorithm=GenzBretz(maxpts=1e5, abseps=1e-5))$quantile}, residual=list(variance=sigma(m)^2, df=df))
# Ratio of two effects (Fieller 1954): generalization over learning, narrow and over the levels of one blocking variable.
fieller <- function(a, b, vaa, vbb, vab, df, level=.95) { t2 <- qt(1 - (1 - level) / 2, df)^2; A <- b^2 - t2 * vbb; B <- a * b - t2 * vab; C <- a^2 - t2 * vaa; disc <- B^2 - A * C
  list(ratio=a / b, numerator=a, denominator=b, var_numerator=vaa, var_denominator=vbb, covariance=vab, df=df, p_denominator=2 * pt(-abs(b) / sqrt(vbb), df), bounded=A > 0,
       low=if (A > 0) (B - sqrt(disc)) / A else NULL, high=if (A > 0) (B + sqrt(disc)) / A else NULL) }
set.seed(8); g <- expand.grid(run=1:3, A=c("off", "on"), B=c("low", "high"), dataset=c("d1", "d2"), model=c("m1", "m2", "m3", "m4"), stringsAsFactors=FALSE)
e <- matrix(rnorm(2 * nrow(g)), ncol=2) %*% chol(matrix(c(.04, .02, .02, .05), 2)); tilt <- setNames(rnorm(4, 0, .1), unique(g$model))[g$model]
g$learning <- round((g$A == "on") * (.5 + tilt) + .02 * (g$B == "high") + e[, 1], 4); g$generalization <- round((g$A == "on") * (.3 + .8 * tilt) + .01 * (g$B == "high") + e[, 2], 4)
g <- g[-c(3, 17, 40), ]; write.csv(g[c("model", "dataset", "A", "B", "learning", "generalization")], "data/carry_over.csv", row.names=FALSE, quote=FALSE)
ratio <- function(f, on, off) { d <- g; d$cell <- paste(d$A, d$B, sep="|"); d$context <- paste(d$model, d$dataset, sep=" / "); d$y <- d$learning
  c <- Filter(function(x) x$factor == f && x$estimand == "average", contrasts_of(d, c("A", "B"), list(A="off", B="low")))[[1]]
  d$group <- factor(paste(d$cell, d$context)); fits <- lm(cbind(generalization, learning) ~ 0 + group, d); S <- crossprod(residuals(fits)) / df.residual(fits)
  names_g <- levels(d$group); w <- setNames(numeric(length(names_g)), names_g); k <- names(c$weights); for (x in k) { i <- paste(names(c$weights[[x]]), x); w[i] <- w[i] + c$weights[[x]] / length(k) }
  q <- sum(w^2 / table(d$group)[names_g]); est <- drop(w %*% coef(fits))
  va <- sapply(c("generalization", "learning"), function(y) { d$y <- d[[y]]; values_of(d, c) }); by <- sub(" / .*", "", rownames(va)); mm <- apply(va, 2, function(v) tapply(v, by, mean)); L <- nrow(mm); C <- cov(mm) / L; mu <- colMeans(mm)
  list(narrow=fieller(est[[1]], est[[2]], S[1, 1] * q, S[2, 2] * q, S[1, 2] * q, df.residual(fits)), over_models=fieller(mu[[1]], mu[[2]], C[1, 1], C[2, 2], C[1, 2], L - 1)) }
out$carry_over <- list(A=ratio("A"), B=ratio("B"))
# Dose: linear and quadratic trend over the scores of an ordered factor, averaged over the other factors' levels and contexts.
set.seed(9); g <- expand.grid(run=1:3, rollouts=c(1, 2, 4, 16), B=c("low", "high"), model=c("m1", "m2", "m3"), stringsAsFactors=FALSE); x <- log(g$rollouts)
g$y <- round(.1 * x - .02 * x^2 + setNames(rnorm(3), unique(g$model))[g$model] + setNames(rnorm(3, 0, .03), unique(g$model))[g$model] * x + rnorm(nrow(g), 0, .15), 4); g <- g[-c(5, 30, 31, 60), ]
write.csv(g[c("model", "rollouts", "B", "y")], "data/dose.csv", row.names=FALSE, quote=FALSE)
dose <- function(score) { d <- g; d$r <- factor(d$rollouts); d$group <- interaction(d$r, d$B, d$model, sep="|"); m <- lm(y ~ 0 + group, d); s <- score(sort(unique(d$rollouts))); P <- contr.poly(4, scores=s)[, 1:2]
  key <- do.call(rbind, strsplit(levels(d$group), "|", fixed=TRUE)); W <- P[match(key[, 1], levels(d$r)), ] / 6; e <- emmeans(m, ~ group); k <- contrast(e, list(linear=W[, 1], quadratic=W[, 2]), adjust="none"); j <- test(k, joint=TRUE)
  slope_w <- (s - mean(s)) / sum((s - mean(s))^2); w <- slope_w[match(key[, 1], levels(d$r))] / 6; b <- as.data.frame(contrast(e, list(slope=w), adjust="none"))
  per <- sapply(unique(d$model), function(x) { i <- key[, 3] == x; sum(w[i] * 3 * as.data.frame(e)$emmean[i]) }); t <- t.test(per)
  B <- crossprod(W, coef(m)); Q <- crossprod(W, vcov(m) %*% W); stat <- drop(t(B) %*% solve(Q, B)) / 2; stopifnot(abs(stat - j$F.ratio) < 6e-4, j$df1 == 2)
  list(f=list(statistic=stat, num_df=2, den_df=df.residual(m), p=pf(stat, 2, df.residual(m), lower.tail=FALSE)), poly=as.data.frame(k)[c("estimate", "SE", "df", "p.value")], slope=list(estimate=b$estimate, se=b$SE, df=b$df, p=b$p.value), per_model=as.list(per),
       slope_over_models=list(estimate=unname(t$estimate), se=unname(t$stderr), df=unname(t$parameter), p=t$p.value)) }
out$dose <- list(log=dose(log), linear=dose(identity), order=dose(seq_along))
# Cells whose variances differ: Welch's t of each against the baseline, Holm.
set.seed(12); w <- data.frame(cell=rep(c("base", "a", "b", "c"), each=12), context=rep(rep(c("k1", "k2", "k3"), each=4), 4)); sd <- c(base=.1, a=.1, b=.6, c=1.2)
w$y <- round(c(base=0, a=.2, b=.4, c=.7)[w$cell] + c(k1=0, k2=1, k3=-1)[w$context] + rnorm(48, 0, sd[w$cell]), 4); w <- w[-c(2, 20, 33), ]
write.csv(w, "data/unequal_variances.csv", row.names=FALSE, quote=FALSE)
s2 <- tapply(w$y, list(w$cell, w$context), var); nn <- tapply(w$y, list(w$cell, w$context), length); mu <- tapply(w$y, list(w$cell, w$context), mean)
rows <- lapply(c("a", "b", "c"), function(x) { q <- c(s2[x, ] / nn[x, ], s2["base", ] / nn["base", ]) / 9; nu <- c(nn[x, ], nn["base", ]) - 1; df <- sum(q)^2 / sum(q^2 / nu); d <- mean(mu[x, ]) - mean(mu["base", ]); list(cell=x, estimate=d, se=sqrt(sum(q)), df=df, p=2 * pt(-abs(d) / sqrt(sum(q)), df)) })
p <- p.adjust(sapply(rows, `[[`, "p"), "holm"); for (i in 1:3) rows[[i]]$p_adjusted <- p[i]; out$welch <- list(rows=rows)
single <- t.test(y ~ factor(cell, c("b", "base")), subset(w, cell %in% c("b", "base") & context == "k1")); out$welch$t_test_b_in_k1 <- list(se=unname(single$stderr), df=unname(single$parameter), p=single$p.value)
save_json(out, "simultaneous.json")
