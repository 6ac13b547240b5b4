# Contrasts of cell means inside contexts, narrow and broad, by lm, emmeans, t.test and formulas.
suppressMessages({library(emmeans); library(jsonlite)})
emm_options(msg.nesting=FALSE, msg.interaction=FALSE)
NONE <- "(none)"                       # an empty entry of a factor

read_table <- function(file, factors, blocks, y="y") {
  d <- read.csv(file, check.names=FALSE, colClasses="character", na.strings="NA")
  d[[y]] <- as.numeric(d[[y]])
  for (f in factors) d[[f]][d[[f]] == ""] <- NONE
  d$y <- d[[y]]
  d$cell <- do.call(paste, c(d[factors], sep="|"))
  d$context <- if (length(blocks)) do.call(paste, c(d[blocks], sep=" / ")) else "all"
  d
}

# `cells`: data.frame of the distinct cells; one list of named weight vectors (per context) a contrast.
matched <- function(have, cells, f, level, base, others_ok) {
  at <- cells[cells[[f]] == level, , drop=FALSE]
  partner <- at; partner[[f]] <- rep(base, nrow(at))
  key <- function(x) do.call(paste, c(x[names(cells)], sep="|"))
  keep <- key(at) %in% have & key(partner) %in% have & others_ok(at)
  cbind(key(at)[keep], key(partner)[keep])
}
pair_weights <- function(pairs, share=rep(1 / nrow(pairs), nrow(pairs))) {
  if (!nrow(pairs)) return(NULL)
  w <- c(setNames(share, pairs[, 1]), setNames(-share, pairs[, 2])); tapply(w, names(w), sum)
}
contrasts_of <- function(d, factors, baselines) {
  cells <- unique(d[factors]); contexts <- unique(d$context); out <- list()
  levels_of <- lapply(setNames(factors, factors), function(f) unique(d[[f]]))
  have <- lapply(setNames(contexts, contexts), function(k) unique(d$cell[d$context == k]))
  others <- function(f) setdiff(factors, f)
  all_of <- function(x, cols, test) if (length(cols)) Reduce(`&`, lapply(cols, function(o) test(x[[o]], baselines[[o]]))) else rep(TRUE, nrow(x))
  rules <- list(average=function(f) function(x) rep(TRUE, nrow(x)),
                baseline=function(f) function(x) all_of(x, others(f), `==`),
                removal=function(f) function(x) all_of(x, others(f), `!=`))
  two <- all(sapply(levels_of, length) == 2) && nrow(cells) == 2^length(factors)
  for (f in factors) for (l in setdiff(levels_of[[f]], baselines[[f]])) {
    for (e in names(rules)) {
      p <- lapply(have, matched, cells, f, l, baselines[[f]], rules[[e]](f))
      out[[length(out) + 1]] <- list(factor=f, level=l, baseline=baselines[[f]], estimand=e, weights=lapply(p, pair_weights), pairs=sapply(p, nrow),
        common=Reduce(intersect, lapply(p[sapply(p, nrow) > 0], function(x) x[, 1])), partner=do.call(c, unname(lapply(p, function(x) setNames(x[, 2], x[, 1])))))
    }
    if (two) {
      n <- length(factors)
      w <- lapply(have, function(h) { if (length(h) < 2^n) return(NULL)
        p <- matched(h, cells, f, l, baselines[[f]], function(x) rep(TRUE, nrow(x)))
        at <- cells[match(p[, 1], do.call(paste, c(cells, sep="|"))), , drop=FALSE]
        s <- rowSums(sapply(others(f), function(o) at[[o]] != baselines[[o]])); pair_weights(p, factorial(s) * factorial(n - 1 - s) / factorial(n)) })
      out[[length(out) + 1]] <- list(factor=f, level=l, baseline=baselines[[f]], estimand="shapley", weights=w, pairs=sapply(w, function(x) length(x) / 2), common=NULL)
    }
  }
  if (length(factors) > 1) for (ij in combn(factors, 2, simplify=FALSE)) for (a in setdiff(levels_of[[ij[1]]], baselines[[ij[1]]])) for (b in setdiff(levels_of[[ij[2]]], baselines[[ij[2]]])) {
    both <- cells[cells[[ij[1]]] == a & cells[[ij[2]]] == b, , drop=FALSE]
    key <- function(x) do.call(paste, c(x[names(cells)], sep="|"))
    A <- both; A[[ij[1]]] <- rep(baselines[[ij[1]]], nrow(both)); B <- both; B[[ij[2]]] <- rep(baselines[[ij[2]]], nrow(both)); N <- A; N[[ij[2]]] <- rep(baselines[[ij[2]]], nrow(both))
    q <- cbind(key(both), key(A), key(B), key(N))
    w <- lapply(have, function(h) { k <- apply(q, 1, function(r) all(r %in% h)); k <- if (nrow(q)) k else logical(0); if (!any(k)) return(NULL)
      m <- q[k, , drop=FALSE]; v <- rep(c(1, -1, -1, 1) / nrow(m), each=nrow(m)); tapply(v, as.vector(m), sum) })
    out[[length(out) + 1]] <- list(factor=paste(ij, collapse=":"), level=paste(a, b, sep=":"), baseline=paste(baselines[[ij[1]]], baselines[[ij[2]]], sep=":"), estimand="interaction", weights=w, pairs=sapply(w, function(x) length(x) / 4), common=NULL)
  }
  out
}
configurations_of <- function(d, factors, baselines) {
  base <- paste(unlist(baselines[factors]), collapse="|"); contexts <- unique(d$context)
  lapply(setdiff(unique(d$cell), base), function(k) list(factor="configuration", level=k, baseline=base, estimand="configuration",
    weights=lapply(setNames(contexts, contexts), function(x) if (all(c(k, base) %in% d$cell[d$context == x])) setNames(c(1, -1), c(k, base))), pairs=sapply(contexts, function(x) as.integer(all(c(k, base) %in% d$cell[d$context == x]))), common=NULL))
}

common_of <- function(c) {             # the row over the pairs that all its contexts have, where pairs differ
  k <- names(Filter(Negate(is.null), c$weights)); have <- lapply(c$weights[k], function(w) sort(names(w)))
  if (c$estimand != "average" || length(unique(have)) < 2 || !length(c$common)) return(NULL)
  level <- c$common
  list(factor=c$factor, level=c$level, baseline=c$baseline, estimand="common", pairs=length(level), weights=lapply(setNames(k, k), function(x) { p <- cbind(level, c$partner[level]); pair_weights(p) }))
}
narrow <- function(d, cs) {            # one lm with a mean per cell and context; equal weight on contexts
  d$group <- factor(paste(d$cell, d$context, sep=" @ "))
  m <- lm(y ~ 0 + group, d); g <- emmeans(m, ~ group); names_g <- as.data.frame(g)$group
  usable <- Filter(function(c) any(!sapply(c$weights, is.null)), cs)
  L <- lapply(usable, function(c) { w <- setNames(numeric(length(names_g)), names_g); k <- names(Filter(Negate(is.null), c$weights))
    for (x in k) { i <- paste(names(c$weights[[x]]), x, sep=" @ "); w[i] <- w[i] + c$weights[[x]] / length(k) }; unname(w) })
  s <- as.data.frame(contrast(g, setNames(L, seq_along(L)), adjust="none"))
  n <- tapply(d$y, d$group, length)[as.character(names_g)]; v <- tapply(d$y, d$group, var)[as.character(names_g)]
  welch <- t(sapply(L, function(w) { i <- w != 0; if (any(n[i] < 2)) return(c(NA, NA)); q <- w[i]^2 * v[i] / n[i]; c(sqrt(sum(q)), sum(q)^2 / sum(q^2 / (n[i] - 1))) }))
  s$welch_se <- welch[, 1]; s$welch_df <- welch[, 2]
  list(rows=usable, stats=s, L=do.call(rbind, L), fit=m, groups=names_g)
}
values_of <- function(d, c) {          # the contrast in every context that has it
  k <- names(Filter(Negate(is.null), c$weights))
  sapply(setNames(k, k), function(x) { mu <- tapply(d$y[d$context == x], d$cell[d$context == x], mean); sum(c$weights[[x]] * mu[names(c$weights[[x]])]) })
}
one_way <- function(v, by) {           # mean over the contexts of each level first
  m <- tapply(v, by, mean); if (length(m) < 3) return(NULL)
  t <- t.test(as.vector(m)); L <- length(m); s <- sd(m)
  list(estimate=unname(t$estimate), se=unname(t$stderr), df=unname(t$parameter), p=t$p.value, low=t$conf.int[1], high=t$conf.int[2],
       prediction_low=mean(m) - qt(.975, L - 1) * s * sqrt(1 + 1 / L), prediction_high=mean(m) + qt(.975, L - 1) * s * sqrt(1 + 1 / L), levels=L)
}
crossed <- function(v, a, b) {         # NULL where the crossing is incomplete or V <= 0
  a <- factor(a); b <- factor(b); M <- nlevels(a); D <- nlevels(b)
  if (length(v) < M * D || M < 2 || D < 2) return(incomplete(v, a, b))
  t <- anova(lm(v ~ a + b)); ms <- t[["Mean Sq"]]
  V <- (ms[1] + ms[2] - ms[3]) / (M * D)
  df <- if (V > 0) (ms[1] + ms[2] - ms[3])^2 / (ms[1]^2 / (M - 1) + ms[2]^2 / (D - 1) + ms[3]^2 / ((M - 1) * (D - 1))) else NA
  out <- list(complete=TRUE, mean_squares=ms, variance=V, df=df, estimate=mean(v), M=M, D=D)
  if (V > 0) { out$se <- sqrt(V); q <- max(df, 1); out$p <- 2 * pt(-abs(mean(v)) / sqrt(V), q); out$low <- mean(v) - qt(.975, q) * sqrt(V); out$high <- mean(v) + qt(.975, q) * sqrt(V) }
  out
}
incomplete <- function(v, a, b) {      # pairs of levels that lack the contrast: both one-way variances less what both contain
  wa <- one_way(v, a); wb <- one_way(v, b); out <- list(complete=FALSE); if (is.null(wa) || is.null(wb)) return(out)
  m <- lm(v ~ a + b); if (df.residual(m) < 1) return(out); shared <- sigma(m)^2 / length(v); V <- wa$se^2 + wb$se^2 - shared
  if (V > 0) { df <- max(V^2 / (wa$se^4 / wa$df + wb$se^4 / wb$df + shared^2 / df.residual(m)), 1); t <- mean(v) / sqrt(V); h <- qt(.975, df) * sqrt(V)
    out <- c(out, list(estimate=mean(v), se=sqrt(V), df=df, p=2 * pt(-abs(t), df), low=mean(v) - h, high=mean(v) + h)) }
  out
}
both <- function(ways, cr) {           # two blocking variables, or more
  if (any(sapply(ways, is.null))) return(NULL)
  parts <- ways; if (!is.null(cr$se)) parts$crossed <- cr[c("estimate", "se", "df", "p", "low", "high")]
  width <- sapply(parts, function(x) x$high - x$low); k <- which.max(width); chosen <- parts[[k]]
  out <- list(estimate=chosen$estimate, se=chosen$se, df=max(chosen$df, 1), p=max(sapply(parts, `[[`, "p")), low=chosen$low, high=chosen$high, decides=names(parts)[k])
  if (isTRUE(cr$complete)) { ms <- cr$mean_squares
    half <- qt(.975, max(chosen$df, 1)) * sqrt(chosen$se^2 + max(0, (ms[1] - ms[3]) / cr$D) + max(0, (ms[2] - ms[3]) / cr$M) + ms[3])
    out$prediction_low <- chosen$estimate - half; out$prediction_high <- chosen$estimate + half }
  out$parts <- parts; out
}
holm_rows <- function(rows) {          # one family: estimand x inference x scope
  key <- sapply(rows, function(r) paste(r$estimand, r$inference, r$scope))
  for (k in unique(key)) { i <- which(key == k); p <- p.adjust(sapply(rows[i], `[[`, "p"), "holm"); for (j in seq_along(i)) rows[[i[j]]]$p_adjusted <- p[j] }
  rows
}
at_ninety <- function(rows) lapply(rows, function(r) {      # limits at 1 - 2 alpha; over both: the widest at this level
  parts <- if (is.null(r$parts)) list(r) else r$parts; half <- sapply(parts, function(x) qt(.95, max(x$df, 1)) * x$se); k <- which.max(half)
  r$low_equivalence <- parts[[k]]$estimate - half[[k]]; r$high_equivalence <- parts[[k]]$estimate + half[[k]]; r })
# P(all T_j <= upper_j, T_j >= lower_j) of the one-factor family: T_j = (b_j Z_0 + sqrt(1 - b_j^2) Z_j) / S, by quadrature.
# Trapezoid rules over z and log s, whose errors vanish faster than any power of the step; `lower`, `upper` of length k.
product_t <- function(lower, upper, b, df) {
  z <- seq(-9, 9, length.out=181); u <- seq(log(qchisq(1e-15, df) / df) / 2, log(qchisq(1e-17, df, lower.tail=FALSE) / df) / 2, length.out=141); s <- exp(u)
  inside <- matrix(1, length(z), length(s))
  for (j in seq_along(b)) inside <- inside * (pnorm(outer(-b[j] * z, upper[j] * s, `+`) / sqrt(1 - b[j]^2)) - if (is.finite(lower[j])) pnorm(outer(-b[j] * z, lower[j] * s, `+`) / sqrt(1 - b[j]^2)) else 0)
  weight <- exp(log(2) + df / 2 * log(df / 2) - lgamma(df / 2) + df * u - df * s^2 / 2) * (u[2] - u[1])
  sum((dnorm(z) * (z[2] - z[1])) %*% inside * weight)
}
one_factor <- function(R) {            # b with R = outer(b, b) off its diagonal, or NULL
  k <- nrow(R); if (k == 1) return(0); if (k == 2) return(if (R[1, 2] >= 0) rep(sqrt(R[1, 2]), 2))
  b <- sapply(1:k, function(i) { o <- setdiff(1:k, i)[1:2]; sqrt(R[i, o[1]] * R[i, o[2]] / R[o[1], o[2]]) }); D <- R - outer(b, b); diag(D) <- 0
  if (max(abs(D)) < 1e-9) b
}
dunnett_rows <- function(rows, n) {    # narrow configurations: the two-sided multivariate t of all of them
  i <- which(sapply(rows, function(r) r$estimand == "configuration" && r$inference == "narrow")); if (!length(i)) return(rows)
  L <- n$L[sapply(n$rows, function(c) c$estimand == "configuration"), , drop=FALSE]
  V <- L %*% vcov(n$fit) %*% t(L); R <- cov2cor(V)
  b <- one_factor(R); k <- nrow(R); df <- rows[[i[1]]]$df
  for (j in seq_along(i)) { t <- abs(rows[[i[j]]]$estimate / rows[[i[j]]]$se); rows[[i[j]]]$quadrature <- !is.null(b)
    set.seed(1); rows[[i[j]]]$p_adjusted <- 1 - if (is.null(b)) mvtnorm::pmvt(rep(-t, k), rep(t, k), df=round(df), corr=R, algorithm=mvtnorm::GenzBretz(maxpts=5e5, abseps=1e-6))[1] else product_t(rep(-t, k), rep(t, k), b, df) }
  rows
}
margin <- function(rows, delta, alpha=.05, higher=TRUE) {   # direction and size
  # P(|T| >= |estimate| / se) where the effect is +-delta: both tails, because a zero effect may err to either side of a small margin
  at <- function(r) pt((delta - abs(r$estimate)) / r$se, max(r$df, 1)) + pt((-delta - abs(r$estimate)) / r$se, max(r$df, 1))
  for (i in seq_along(rows)) { r <- rows[[i]]; rows[[i]]$p_margin <- min(1, max(sapply(if (is.null(r$parts)) list(r) else r$parts, at))) }
  key <- sapply(rows, function(r) paste(r$estimand, r$inference, r$scope))
  for (k in unique(key)) { i <- which(key == k); p <- if (grepl("configuration narrow", k)) rep(NA, length(i)) else p.adjust(sapply(rows[i], `[[`, "p_margin"), "holm"); for (j in seq_along(i)) rows[[i[j]]]$p_margin_adjusted <- p[j] }
  for (i in seq_along(rows)) { r <- rows[[i]]
    low <- r$low_equivalence; high <- r$high_equivalence
    inside <- -delta < low && high < delta; up <- (r$estimate > 0) == higher
    rows[[i]]$verdict <- if (r$p_adjusted < alpha) (if (up) "helps" else "hurts") else if (inside) "equivalent" else "inconclusive"
    rows[[i]]$size <- if (r$p_adjusted >= alpha) NULL else if (is.na(r$p_margin_adjusted)) NULL else if (r$p_margin_adjusted < alpha / 2) "more" else if (inside) "less" else "open" }
  rows
}
answer <- function(d, factors, blocks, baselines, delta=NULL, configurations=FALSE, higher=TRUE) {
  cs <- contrasts_of(d, factors, baselines); if (configurations) cs <- c(cs, configurations_of(d, factors, baselines))
  n <- narrow(d, cs); rows <- list(); refused <- list(); of <- length(unique(d$context))
  blocked <- unique(d[c("context", blocks)]); varying <- blocks[sapply(blocks, function(b) length(unique(blocked[[b]])) > 1)]
  for (i in seq_along(cs)) if (all(sapply(cs[[i]]$weights, is.null))) refused[[length(refused) + 1]] <- cs[[i]][c("factor", "level", "estimand")]
  plain <- list()
  for (i in seq_along(n$rows)) { c <- n$rows[[i]]; s <- n$stats[i, ]; v <- values_of(d, c)
    head <- list(factor=c$factor, level=c$level, baseline=c$baseline, estimand=c$estimand)
    rows[[length(rows) + 1]] <- c(head, list(inference="narrow", scope="narrow", contexts=length(v), of_contexts=of, pairs_by_context=as.list(c$pairs), values=as.list(v),
      estimate=s$estimate, se=s$SE, df=s$df, p=s$p.value, low=s$estimate - qt(.975, s$df) * s$SE, high=s$estimate + qt(.975, s$df) * s$SE, welch=list(se=s$welch_se, df=s$welch_df)))
    shared <- common_of(c); if (!is.null(shared)) { q <- narrow(d, list(shared))$stats; rows[[length(rows)]]$common <- list(pairs=shared$pairs, estimate=q$estimate, se=q$SE, df=q$df, p=q$p.value) }
    by <- lapply(setNames(varying, varying), function(b) blocked[[b]][match(names(v), blocked$context)])
    if (length(varying) == 1) { o <- one_way(v, by[[1]]); if (!is.null(o)) rows[[length(rows) + 1]] <- c(head, list(inference="broad", scope=varying), o) }
    if (length(varying) > 1) {
      ways <- lapply(by, function(b) one_way(v, b))
      for (b in varying) if (!is.null(ways[[b]])) rows[[length(rows) + 1]] <- c(head, list(inference="broad", scope=b), ways[[b]])
      cr <- if (length(varying) == 2) crossed(v, by[[1]], by[[2]]) else list(complete=FALSE)
      o <- both(ways, cr); if (!is.null(o)) rows[[length(rows) + 1]] <- c(head, list(inference="broad", scope="both"), o, list(mean_squares=cr$mean_squares, crossed_variance=cr$variance, crossed_df=cr$df))
      if (length(v) > 1) { t <- t.test(v); plain[[length(plain) + 1]] <- c(head, list(contexts=length(v), estimate=unname(t$estimate), se=unname(t$stderr), df=unname(t$parameter), p=t$p.value, low=t$conf.int[1], high=t$conf.int[2])) }
    } }
  rows <- at_ninety(dunnett_rows(holm_rows(rows), n)); if (!is.null(delta)) rows <- margin(rows, delta, higher=higher)
  list(factors=factors, contexts=blocks, baselines=baselines, smallest_effect=delta, residual=list(variance=sigma(n$fit)^2, df=df.residual(n$fit)), rows=rows, plain=plain, refused=refused)
}
save_json <- function(x, file) write(toJSON(x, auto_unbox=TRUE, digits=I(15), pretty=FALSE, null="null", na="null"), file)
first_levels <- function(d, factors) lapply(setNames(factors, factors), function(f) d[[f]][1])
