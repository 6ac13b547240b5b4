# The mixed-model companion of average effects: lme4, lmerTest and pbkrtest.
# Rscript make.R  (in this folder; writes reference.json)
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(jsonlite)})
control <- lmerControl(optimizer = "bobyqa", calc.derivs = FALSE,
                       optCtrl = list(rhobeg = .2, rhoend = 1e-11, maxfun = 1e6))
PARTS <- list(
  crossed = "(1|model)+(1|dataset)+(0+c|model)+(0+c|dataset)",
  one_variable = "(1|model)+(0+c|model)",
  fraction = "(1|model)+(1|dataset)+(0+c|model)+(0+c|dataset)",
  two_data_sets = "side+side:c+(1|model)+(0+c|model)"
)

# The weights of cells: inside each context the mean over its matched pairs, then over contexts.
weights_of <- function(d, rest) {
  total <- setNames(numeric(nlevels(d$cell)), levels(d$cell)); used <- 0
  for (context in unique(d$context)) {
    here <- unique(d[d$context == context, c("cell", "c", rest)])
    key <- do.call(paste, here[rest])
    pairs <- names(which(table(key) == 2))
    if (!length(pairs)) next
    used <- used + 1
    chosen <- here[key %in% pairs, ]
    total[as.character(chosen$cell)] <- total[as.character(chosen$cell)] + 2 * chosen$c / length(pairs)
  }
  total / used
}

answer <- function(fit, row, factor, level) {
  test <- contest(fit, matrix(row, 1), joint = FALSE, ddf = "Kenward-Roger")
  v <- as.data.frame(VarCorr(fit))
  variances <- lapply(seq_len(nrow(v)), function(i) list(
    group = sub("\\.1$", "", v$grp[i]), name = if (is.na(v$var1[i])) "" else v$var1[i], variance = v$vcov[i]))
  list(factor = factor, level = level, estimate = test$Estimate, se = test[["Std. Error"]],
       df = test$df, p = test[["Pr(>|t|)"]], variances = variances)
}

effect <- function(d, name, factor, level) {
  factors <- intersect(LETTERS[1:4], names(d)); rest <- setdiff(factors, factor)
  d$context <- paste(d$model, d$dataset)
  d <- d[d[[factor]] %in% c(level, "l0"), ]
  d$c <- ifelse(d[[factor]] == level, .5, -.5)
  d$cell <- factor(do.call(paste, d[factors]))
  if (name == "fraction") {
    for (f in rest) d[[f]] <- C(factor(d[[f]]), contr.sum)
    fit <- lmer(as.formula(paste("y ~ c +", paste(c(rest, PARTS[[name]]), collapse = "+"))), d, control = control)
    return(answer(fit, as.numeric(names(fixef(fit)) == "c"), factor, level))
  }
  both <- tapply(d$c, d$context, function(v) length(unique(v)) == 2)
  d <- d[d$context %in% names(both)[both], ]
  d$cell <- droplevels(d$cell); d$side <- ifelse(d$dataset == "d0", -.5, .5)
  row <- weights_of(d, rest)
  d <- d[row[as.character(d$cell)] != 0, ]; d$cell <- droplevels(d$cell)
  fit <- lmer(as.formula(paste("y ~ 0 + cell +", PARTS[[name]])), d, control = control)
  beta <- fixef(fit); full <- setNames(numeric(length(beta)), names(beta))
  full[paste0("cell", levels(d$cell))] <- row[levels(d$cell)]
  sides <- unique(d[c("context", "side")])$side
  if ("side:c" %in% names(full)) full["side:c"] <- mean(sides)
  answer(fit, full, factor, level)
}

cases <- lapply(names(PARTS), function(name) {
  d <- read.csv(file.path("data", paste0(name, ".csv")))
  factors <- intersect(LETTERS[1:4], names(d))
  do.call(c, lapply(factors, function(f) lapply(setdiff(sort(unique(d[[f]])), "l0"), function(l) effect(d, name, f, l))))
})
names(cases) <- names(PARTS)
write_json(cases, "reference.json", digits = NA, auto_unbox = TRUE, pretty = 1)
