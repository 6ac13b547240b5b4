# Type III by estimable functions and tests at the mean of a covariate. In this folder: Rscript make.R
# Needs lme4, lmerTest, pbkrtest, car, jsonlite, MASS. Writes reference.json.
#
# goodnight: F tests by goodnight.R (Goodnight 1978 in over-parametrised form, nothing shared with
#   the package). at_mean: cases of the other folders with every covariate centred (a binary one at
#   the middle of its values; inside log() at the mean logarithm), so that lmerTest and car, which
#   test factors where covariates are 0, test them at the mean. no_intercept: the factor that stands
#   for the intercept, averaged over the other factor, by sum coding.
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(car); library(jsonlite)})
source("goodnight.R")
CTL <- lmerControl(optimizer="bobyqa", optCtrl=list(rhobeg=.02, rhoend=1e-11, maxfun=1e6), calc.derivs=FALSE, check.conv.singular="ignore")
rows <- function(x) { x <- as.data.frame(x); x <- cbind(.row=rownames(x), x, stringsAsFactors=FALSE); rownames(x) <- NULL; x }
sas <- function(terms, file, y) {
  d <- read.csv(file); printed <- capture.output(sas3(terms, d, d[[y]]))
  numbers <- do.call(rbind, lapply(regmatches(sub("^[^ ]+ ", "", printed), gregexpr("[-0-9.]+(e[-+]?[0-9]+)?", sub("^[^ ]+ ", "", printed))), as.numeric))
  list(data=file, rows=data.frame(term=sapply(terms, paste, collapse=":"), num_df=numbers[,1], den_df=numbers[,2], f=numbers[,3], p=numbers[,4])) }
goodnight <- list(
  missing_cell_a=sas(list("a","b",c("a","b")), "ols-type3-missing-cell-a.csv", "y"),
  missing_cell_b=sas(list("a","b",c("a","b")), "ols-type3-missing-cell-b.csv", "y"),
  nested=sas(list("Block","ctr",c("ctr","Form"),c("ctr","Conc"),c("ctr","Form","Conc")), "ols-type3-nested-factor.csv", "Fruit"),
  two_holes=sas(list("A","B",c("A","B")), "../second/data/two_holes.csv", "y"),
  blocks=sas(list(c("model","dataset"),"A","B","C","D",c("A","B"),c("A","C"),c("B","C"),c("A","D"),c("B","D"),c("C","D"),c("A","B","C"),c("A","B","D"),c("A","C","D"),c("B","C","D"),c("A","B","C","D")), "../stats/data/sim_p2_missing_context.csv", "y"))
centre <- function(d, names) { for (n in names) { v <- d[[n]]; d[[n]] <- if (length(unique(v)) == 2) v - mean(range(v)) else v - mean(v) }; d }
at_mean <- list()
again <- function(folder, book, name, covariates, log=NULL) {
  case <- read_json(file.path("..", folder, book))$cases[[name]]
  d <- read.csv(file.path("..", folder, case$data), stringsAsFactors=TRUE)
  for (f in names(case$factors)) d[[f]] <- factor(as.character(d[[f]]), levels=unlist(case$factors[[f]]))
  d <- centre(d, covariates); for (n in log) d[[n]] <- exp(base::log(d[[n]]) - mean(base::log(d[[n]])))
  d$.w <- if (is.null(case$weights)) 1 else d[[case$weights]]
  f <- as.formula(case$formula); environment(f) <- environment(); o <- list()
  if (is.null(case$REML)) {
    used <- intersect(all.vars(f), names(d)[sapply(d, is.factor)])
    o$anova_III <- rows(Anova(lm(f, d, contrasts=setNames(rep(list("contr.sum"), length(used)), used)), type=3))
  } else {
    m <- if (is.null(case$weights)) lmerTest::lmer(f, d, REML=case$REML, control=CTL) else lmerTest::lmer(f, d, REML=case$REML, control=CTL, weights=.w)
    for (ty in c("II","III")) { o[[paste0("anova_", ty, "_satterthwaite")]] <- rows(anova(m, type=ty))
      if (case$REML && is.null(case$weights)) o[[paste0("anova_", ty, "_kr")]] <- rows(anova(m, type=ty, ddf="Kenward-Roger")) } }
  at_mean[[paste0(folder, "/", name)]] <<- o }
again("stats", "reference_public.json", "cake_temp", "temp")
for (x in list(list("growth_slope","time"), list("uptake_three_way_covariate","conc"), list("weighted_ml","x"), list("binary_covariate","z"), list("ols_covariate","x"))) again("second", "second.json", x[[1]], x[[2]])
again("second", "second.json", "uptake_log", NULL, log="conc")
for (x in list(list("covariate_by_factor","x"), list("three_way_covariate","x"), list("lm_factor_by_covariate","z"))) again("mixed", "reference.json", x[[1]], x[[2]])
d <- read.csv("../mixed/data/covariate.csv", stringsAsFactors=TRUE)
m <- lmerTest::lmer(y ~ 0 + A + B + (1 | grp), d, control=CTL, contrasts=list(B="contr.sum"))
k <- contestMD(m, cbind(diag(3), 0))
p <- read.csv("anova-at-covariate-zero.csv", stringsAsFactors=TRUE); contrasts(p$treat) <- "contr.sum"
curve <- rows(Anova(lm(post ~ treat * poly(pre, 2), p), type=3))
info <- c(list(R=R.version.string), lapply(setNames(nm=c("lme4","lmerTest","pbkrtest","car")), function(p) as.character(packageVersion(p))))
write_json(list(info=info, goodnight=goodnight, at_mean=at_mean, no_intercept=rows(k), curve=curve), "reference.json", digits=NA, auto_unbox=TRUE, na="null", null="null", pretty=FALSE)
