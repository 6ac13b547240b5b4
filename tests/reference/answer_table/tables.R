# Rscript tables.R: synthetic tables (data/*.csv) and their answer tables (tables.json). Needs emmeans, mvtnorm, jsonlite.
source("lib.R"); set.seed(31)
draw <- function(v, sd) { u <- unique(v); setNames(rnorm(length(u), 0, sd), u)[as.character(v)] }
grid <- function(levels, blocks, runs) { g <- do.call(expand.grid, c(list(run=seq_len(runs)), rev(lapply(levels, identity)), rev(blocks), stringsAsFactors=FALSE)); g[c(names(blocks), names(levels))] }
two <- list(A=c("off", "on"), B=c("low", "high")); three <- list(A=c("none", "batch", "group"), B=c("one", "four"))
blocks <- function(M, D) list(model=paste0("m", seq_len(M)), dataset=paste0("d", seq_len(D)))
respond <- function(g, tm=0, td=0, tc=0, sd=.3, effect=.4) { on <- as.numeric(g$A != unique(g$A)[1]); other <- as.numeric(g$B != unique(g$B)[1]); ctx <- paste(g$model, g$dataset)
  draw(ctx, 1) + on * (effect + draw(g$model, tm) + draw(g$dataset, td) + draw(ctx, tc)) + .2 * other + on * other * draw(ctx, tc / 2) + .1 * (g$A == unique(g$A)[length(unique(g$A))]) + rnorm(nrow(g), 0, sd) }
tables <- list()
add <- function(name, g, y, baselines=NULL, delta=.25, blocks=c("model", "dataset"), factors=c("A", "B")) {
  g$y <- round(y, 4); write.csv(g, sprintf("data/%s.csv", name), row.names=FALSE, quote=FALSE)
  d <- read_table(sprintf("data/%s.csv", name), factors, blocks); b <- if (is.null(baselines)) first_levels(d, factors) else baselines
  tables[[name]] <<- answer(d, factors, blocks, b, delta, configurations=TRUE)
}
g <- grid(two, blocks(3, 3), 3); add("complete_3x3", g, respond(g, .15, .15, .1))
g <- grid(three, blocks(3, 3), 4); k <- runif(nrow(g)) > .3; k[g$A == "group" & g$B == "four" & g$model == "m1" & g$dataset == "d2"] <- FALSE; k[g$A == "none" & g$B == "four" & g$model == "m2" & g$dataset == "d1"] <- FALSE
k[g$A == "batch" & g$model == "m3" & g$dataset == "d3"] <- FALSE; g <- g[k, ]; add("lost_cells_3x3", g, respond(g, .2, .1, .2))
g <- grid(three, blocks(4, 3), 3); g <- g[!(g$A == "group" & paste(g$model, g$dataset) %in% c("m1 d1", "m2 d3", "m4 d2")) & !(g$A == "batch" & g$model %in% c("m1", "m2")), ]
add("contexts_without_level_4x3", g, respond(g, .2, .2, .1), list(A="none", B="four"))
g <- grid(two, blocks(5, 4), 2); add("both_vary_5x4", g, respond(g, .4, .4, .1))
g <- grid(two, blocks(8, 3), 2); add("models_vary_8x3", g, respond(g, .5, 0, .05))
g <- grid(two, blocks(3, 3), 2); y <- NULL; for (try in 1:200) { y <- respond(g, 0, 0, .5, effect=.1); v <- tapply(y * ifelse(g$A == "on", 1, -1), paste(g$model, g$dataset), sum); m <- anova(lm(v ~ substr(names(v), 1, 2) + substr(names(v), 4, 5)))[["Mean Sq"]]; if (m[1] + m[2] < m[3]) break }
add("negative_variance_3x3", g, y)
g <- grid(two, list(model=paste0("m", 1:11)), 3); g$dataset <- "only"; g <- g[!(g$A == "on" & g$model %in% paste0("m", c(2, 5, 6, 9, 10, 11))), ]
add("one_variable_11", g, respond(g, .3, 0, 0) - ifelse(g$model %in% paste0("m", c(2, 5, 6, 9, 10, 11)), 3, 0), blocks="model")
g <- grid(two, list(model=paste0("m", 1:3), dataset=paste0("d", 1:2)), 3); add("two_data_sets_3x2", g, respond(g, .3, .2, .1))
g <- grid(two, list(model=paste0("m", 1:3), dataset=paste0("d", 1:3), size=paste0("s", 1:3)), 2); add("three_variables_3x3x3", g, respond(g, .3, .2, .1), blocks=c("model", "dataset", "size"))
g <- grid(c(two, list(C=c("c0", "c1"))), blocks(3, 3), 2); add("three_factors_3x3", g, respond(g, .2, .1, .1), factors=c("A", "B", "C"))
save_json(tables, "tables.json")
