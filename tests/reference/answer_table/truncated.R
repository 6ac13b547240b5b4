# Rscript truncated.R: models without interactions above an order, fitted inside every context by least squares with one residual variance. Needs emmeans, mvtnorm, jsonlite.
source("lib.R"); set.seed(77); options(contrasts=c("contr.sum", "contr.poly"))
two <- list(A=c("off", "on"), B=c("low", "high"), C=c("c0", "c1"))
grid <- function(levels, M, D, runs=1) { g <- do.call(expand.grid, c(list(run=seq_len(runs)), rev(levels), list(dataset=paste0("d", seq_len(D)), model=paste0("m", seq_len(M))), stringsAsFactors=FALSE)); g[c("model", "dataset", names(levels))] }
draw <- function(v, sd) { u <- unique(v); setNames(rnorm(length(u), 0, sd), u)[as.character(v)] }
response <- function(g) { on <- (g$A == "on") * 1; round(draw(paste(g$model, g$dataset), 1) + on * (.4 + draw(g$model, .2) + draw(g$dataset, .2)) + .2 * (g$B == "high") - .1 * (g$C == "c1") + .15 * on * (g$B == "high") + rnorm(nrow(g), 0, .2), 4) }
fit <- function(name, g, factors, order) {
  g$y <- response(g); write.csv(g, sprintf("data/%s.csv", name), row.names=FALSE, quote=FALSE)
  d <- read_table(sprintf("data/%s.csv", name), factors, c("model", "dataset")); base <- first_levels(d, factors)
  for (f in factors) d[[f]] <- factor(d[[f]], levels=c(setdiff(unique(d[[f]]), base[[f]]), base[[f]]))      # +1 at the level, -1 at the baseline
  terms <- unlist(lapply(seq_len(order), function(k) combn(factors, k, paste, collapse=":"))); contexts <- unique(d$context)
  fits <- lapply(setNames(contexts, contexts), function(k) { e <- droplevels(d[d$context == k, ]); X <- model.matrix(as.formula(paste("~", paste(terms, collapse="+"))), d)[d$context == k, , drop=FALSE]; q <- qr(X)
    list(X=X, y=e$y, rank=q$rank, rss=sum(qr.resid(q, e$y)^2), names=colnames(X)) })
  df <- sum(sapply(fits, function(f) length(f$y) - f$rank)); variance <- sum(sapply(fits, `[[`, "rss")) / df
  one <- function(l, k) { f <- fits[[k]]; X <- f$X; s <- svd(X); keep <- s$d > 1e-9 * max(s$d); P <- s$v[, keep] %*% t(s$v[, keep]); if (max(abs(P %*% l - l)) > 1e-8) return(NULL)   # estimable?
    G <- s$v[, keep] %*% diag(1 / s$d[keep]^2, sum(keep)) %*% t(s$v[, keep]); list(value=drop(t(l) %*% G %*% t(X) %*% f$y), factor=drop(t(l) %*% G %*% l)) }
  rows <- list()
  for (t in terms) { size <- length(strsplit(t, ":")[[1]]); if (size > 2) next; columns <- fits[[1]]$names; place <- which(gsub("1", "", columns) == t); l <- numeric(length(columns)); l[place] <- 2^size
    v <- Filter(Negate(is.null), lapply(setNames(contexts, contexts), function(k) one(l, k))); value <- sapply(v, `[[`, "value"); K <- length(v); if (!K) next
    se <- sqrt(variance * sum(sapply(v, `[[`, "factor"))) / K; est <- mean(value); f <- strsplit(t, ":")[[1]]
    head <- list(factor=t, level=paste(sapply(f, function(x) setdiff(unique(as.character(d[[x]])), base[[x]])), collapse=":"), estimand=if (size == 1) "average" else "interaction")
    rows[[length(rows) + 1]] <- c(head, list(inference="narrow", scope="narrow", contexts=K, estimate=est, se=se, df=df, p=2 * pt(-abs(est / se), df), low=est - qt(.975, df) * se, high=est + qt(.975, df) * se))
    by <- strsplit(names(value), " / "); by <- list(model=sapply(by, `[`, 1), dataset=sapply(by, `[`, 2)); ways <- lapply(by, function(b) one_way(value, b))
    for (b in names(ways)) if (!is.null(ways[[b]])) rows[[length(rows) + 1]] <- c(head, list(inference="broad", scope=b), ways[[b]])
    o <- both(ways, crossed(value, by[[1]], by[[2]])); if (!is.null(o)) rows[[length(rows) + 1]] <- c(head, list(inference="broad", scope="both"), o) }
  list(factors=factors, order=order, residual=list(variance=variance, df=df), rows=holm_rows(rows))
}
g4 <- grid(c(two, list(D=c("d-", "d+"))), 3, 3); sign <- function(x, l) ifelse(x == l, 1, -1)
half <- g4[sign(g4$A, "on") * sign(g4$B, "high") * sign(g4$C, "c1") == sign(g4$D, "d+"), ]
g3 <- grid(two, 3, 3); lost <- g3[runif(nrow(g3)) > .2 & !(g3$A == "on" & g3$model == "m2" & g3$dataset == "d3"), ]
save_json(list(fraction=fit("fraction", half, c("A", "B", "C", "D"), 1), one_run=fit("one_run", g3, c("A", "B", "C"), 2), one_run_lost=fit("one_run_lost", lost, c("A", "B", "C"), 1)), "truncated.json")
