# A second corpus of the same kind as ../stats, on simulated tables. Run in this folder: Rscript make_second.R
# Needs lme4, lmerTest, pbkrtest, emmeans, car, metafor, jsonlite; effectsize and performance are not used.
# Writes data/*.csv and second.json. The fits are made by the functions of ../stats/lib.R.
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(emmeans); library(car); library(metafor); library(jsonlite)})
text <- readLines("../stats/lib.R"); text <- text[!grepl("library(lme4)", text, fixed=TRUE)]
eval(parse(text=text))
none <- function(...) stop("not computed"); r2_nakagawa <- icc <- eta_squared <- omega_squared <- epsilon_squared <- cohens_f <- none
F_to_eta2 <- function(f, a, b) data.frame(f*a/(f*a+b)); F_to_omega2 <- function(f, a, b) data.frame(pmax((f-1)*a/(f*a+b+1), 0)); F_to_epsilon2 <- function(f, a, b) data.frame(pmax((f-1)*a/(f*a+b), 0))
pick <- function(d, n) d[sort(sample(nrow(d), n)), ]
L <- function(p, k) paste0(p, seq_len(k))
lev <- function(x) as.integer(factor(x, levels=unique(x)))
# one effect per level of g, and one per level of g and column x
u <- function(g, sd) rnorm(length(unique(g)), 0, sd)[match(g, unique(g))]
set.seed(2024)

d <- expand.grid(rep=1:5, batch=L("b", 6)); d$y <- 1500 + u(d$batch, 40) + rnorm(30, 0, 50)
d <- getd(d, "one_way", "batch"); lmm("one_way", y ~ 1 + (1 | batch), d)
d <- expand.grid(rep=1:2, cask=L("c", 3), batch=L("b", 10)); d$y <- 60 + u(d$batch, 1.3) + u(paste(d$batch, d$cask), 2.9) + rnorm(60, 0, .8)
d <- getd(d, "nested", c("cask", "batch")); lmm("nested_slash_ml", y ~ 1 + (1 | batch/cask), d, REML=FALSE); lmm("nested_slash", y ~ 1 + (1 | batch/cask), d)
d <- expand.grid(C=L("c", 2), B=L("b", 2), A=L("a", 3), block=L("k", 6)); d$y <- 20 + u(d$block, 2) + u(paste(d$block, d$A), 1.5) + lev(d$A) * (d$B == "b2") + rnorm(72)
d <- getd(d, "split_plot", c("A", "B", "C", "block")); lmm("split_plot_three_way", y ~ A*B*C + (1 | block/A), d, emm=list("A", c("B", "C")), null=y ~ A*B + C + (1 | block/A))
d <- getd(pick(d, 60), "split_plot_unbalanced", c("A", "B", "C", "block")); lmm("split_plot_unbalanced", y ~ A*B*C + (1 | block/A), d, emm=list("A", c("A", "B")))
d <- expand.grid(time=c(0, 2, 4, 6, 8, 10), chick=L("h", 24)); d$diet <- L("d", 4)[(as.integer(d$chick) - 1) %% 4 + 1]; d$y <- 40 + u(d$chick, 4) + d$time * (6 + as.integer(factor(d$diet)) + u(d$chick, 1.5)) + rnorm(nrow(d), 0, 5); d <- pick(d, 125)
d <- getd(d, "growth", c("chick", "diet")); lmm("growth_slope", y ~ time*diet + (time | chick), d, emm=list("diet"), null=y ~ time + diet + (time | chick)); lmm("growth_bars", y ~ time + diet + (time || chick), d, emm=list("diet")); lmm("growth_square", y ~ time + I(time^2) + diet + (1 | chick), d)
d <- expand.grid(conc=c(95, 175, 250, 350, 500, 675, 1000), plant=L("p", 12)); d$type <- ifelse(as.integer(d$plant) <= 6, "quebec", "missi"); d$treat <- ifelse(as.integer(d$plant) %% 2 == 0, "chilled", "non"); d$y <- 10 + 4 * log(d$conc) + 3 * (d$type == "quebec") - 2 * (d$treat == "chilled") + u(d$plant, 1.5) + rnorm(84, 0, 2)
d <- getd(d, "uptake", c("plant", "type", "treat")); lmm("uptake_three_way_covariate", y ~ type*treat*conc + (1 | plant), d, emm=list("type", c("type", "treat"))); lmm("uptake_log", y ~ type*log(conc) + (1 | plant), d, emm=list("type"))
d <- expand.grid(rep=1:3, A=L("a", 3), g=L("g", 12)); d$x <- round(rnorm(108), 4); d$w <- round(runif(108, .3, 3), 3); d$y <- lev(d$A) + d$x * (1 + u(d$g, .5)) + u(d$g, 1) + rnorm(108) / sqrt(d$w); d <- pick(d, 95)
d <- getd(d, "weighted", c("A", "g")); lmm("weighted_ml", y ~ A*x + (1 | g), d, REML=FALSE, w="w", emm=list("A")); lmm("weighted_slope", y ~ A + x + (1 + x | g), d, w="w", emm=list("A"))
d <- expand.grid(rep=1:3, A=L("a", 3), B=L("b", 3), g=L("g", 8)); d <- d[!(d$A == "a2" & d$B == "b3") & !(d$A == "a3" & d$B == "b1"), ]; d$y <- lev(d$A) + 2 * (d$B == "b2") + u(d$g, 1) + rnorm(nrow(d)); d <- pick(d, 140)
d <- getd(d, "two_holes", c("A", "B", "g")); lmm("two_empty_cells", y ~ A*B + (1 | g), d, emm=list("A", "B")); lmm("two_empty_cells_main", y ~ A + B + (1 | g) + (1 | g:A), d, emm=list("A", "B"))
d <- expand.grid(item=L("i", 10), A=L("a", 2), subj=L("s", 14)); d$y <- 5 + (d$A == "a2") * (.6 + u(d$subj, .7) + u(d$item, .4)) + u(d$subj, 1) + u(d$item, .8) + rnorm(280); d <- pick(d, 240)
d <- getd(d, "crossed", c("item", "A", "subj")); lmm("crossed_slopes", y ~ A + (1 + A | subj) + (1 | item), d, emm=list("A")); lmm("crossed_parts", y ~ A + (1 | subj) + (1 | item) + (1 | item:subj), d)
options(contrasts=c("contr.sum", "contr.poly")); lmm("crossed_sum", y ~ A + (1 | subj) + (1 | item), d, emm=list("A")); cases$crossed_sum$coding <- "sum"
d <- getd(read.csv("data/split_plot_unbalanced.csv", stringsAsFactors=FALSE), "split_plot_unbalanced", c("A", "B", "C", "block")); lmm("sum_two_way", y ~ A*B + C + (1 | block), d, emm=list("A", c("A", "B"))); cases$sum_two_way$coding <- "sum"; options(contrasts=c("contr.treatment", "contr.poly"))
d <- expand.grid(rep=1:4, A=L("a", 2), g=L("g", 6)); r <- rnorm(48); d$y <- 3 + .5 * (d$A == "a2") + r - ave(r, d$g)
d <- getd(d, "singular", c("A", "g")); lmm("singular_group", y ~ A + (1 | g), d, emm=list("A")); lmm("singular_slope", y ~ A + (1 + A | g), d)
d <- expand.grid(rep=1:3, machine=L("m", 3), worker=L("w", 9)); d$y <- 50 + 4 * lev(d$machine) + u(d$worker, 3) + u(paste(d$worker, d$machine), 2) + rnorm(81); d$z <- rbinom(81, 1, .4)
d <- getd(d, "machines", c("machine", "worker")); lmm("three_columns", y ~ machine + (machine | worker), d, emm=list("machine")); lmm("no_intercept", y ~ 0 + machine + z + (1 | worker) + (1 | worker:machine), d, emm=list("machine")); lmm("binary_covariate", y ~ machine*z + (1 | worker), d, emm=list("machine"))
cases$no_intercept$joint_satterthwaite <- cases$no_intercept$kr_joint <- NULL # R tests all but the first coefficient

d <- expand.grid(N=0:1, P=0:1, K=0:1, block=L("k", 5)); d$y <- 55 + 5 * d$N - 3 * d$K + u(d$block, 3) + rnorm(40, 0, 3); for (v in c("N", "P", "K")) d[[v]] <- paste0("n", d[[v]]); d <- pick(d, 34)
d <- getd(d, "npk", c("N", "P", "K", "block")); ols("npk_three_way", y ~ block + N*P*K, d, emm=list("N", c("N", "K"))); ols("npk_nested", y ~ N*P + K, d, emm=list("N", "K"))
d <- getd(pick(read.csv("data/two_holes.csv", stringsAsFactors=FALSE), 120), "two_holes_some", c("A", "B", "g")); ols("ols_empty_cells", y ~ A*B, d, emm=list("A", "B"))
d <- getd(read.csv("data/weighted.csv", stringsAsFactors=FALSE), "weighted", c("A", "g")); ols("ols_covariate", y ~ A*x, d, emm=list("A")); ols("ols_blocks", y ~ g + A, d, emm=list("A"))

ame <- function(m, d, factors) { X <- model.matrix(m); b <- fixef(m); off <- as.vector(getME(m, "Z") %*% getME(m, "b")); V <- as.matrix(vcov(m)); out <- list(); tt <- delete.response(terms(m))
  at <- function(v, l) { e <- d; e[[v]] <- factor(l, levels=levels(d[[v]])); x <- model.matrix(tt, e); p <- plogis(as.vector(x %*% b) + off); list(mean(p), colMeans(x * p * (1 - p))) }
  for (v in factors) for (l in levels(d[[v]])[-1]) { a <- at(v, l); z <- at(v, levels(d[[v]])[1]); g <- a[[2]] - z[[2]]; out[[length(out) + 1]] <- list(factor=v, level=l, estimate=a[[1]] - z[[1]], se=sqrt(as.vector(t(g) %*% V %*% g))) }
  out }
logit <- function(id, f, d, factors=character()) { glmm(id, f, d); environment(f) <- environment(); m <- glmer(f, d, family=binomial, control=glmerControl(optimizer="bobyqa", optCtrl=list(rhobeg=2e-3, rhoend=1e-9, maxfun=1e6), calc.derivs=TRUE, tolPwrss=1e-12)); if (length(factors)) cases[[id]]$ame <<- ame(m, d, factors) }
d <- expand.grid(item=L("i", 20), A=L("a", 2), B=L("b", 2), subj=L("s", 15)); d$hit <- rbinom(1200, 1, plogis(.3 + .6 * (d$A == "a2") - .4 * (d$B == "b2") + u(d$subj, .7) + u(d$item, 1))); d <- pick(d, 1000)
d <- getd(d, "hits", c("item", "A", "B", "subj")); logit("hits_crossed", hit ~ A*B + (1 | subj) + (1 | item), d, c("A", "B")); logit("hits_slope", hit ~ A + B + (1 + A | subj) + (1 | item), d, c("A", "B")); logit("hits_nested", hit ~ A + (1 | subj) + (1 | item) + (1 | subj:A), d, "A")
d <- expand.grid(period=L("p", 4), herd=L("h", 15)); d$size <- rpois(60, 10) + 2; d$ill <- rbinom(60, d$size, plogis(-1 - .4 * lev(d$period) + u(d$herd, .8))); d$well <- d$size - d$ill
d <- getd(d, "herds", c("period", "herd")); logit("herds_counts", cbind(ill, well) ~ period + (1 | herd), d)

d <- data.frame(study=L("s", 14), dose=round(runif(14, 0, 5), 3), age=round(rnorm(14, 50, 8), 2), vi=round(runif(14, .02, .3), 5)); d$yi <- round(.2 + .15 * d$dose + rnorm(14, 0, .3) + rnorm(14, 0, sqrt(d$vi)), 5); d <- getd(d, "studies", "study")
meta("meta_plain", d, "yi", "vi"); meta("meta_two_moderators", d, "yi", "vi", mods=~dose+age); z <- getd(d[1:5, ], "five_studies", "study"); meta("meta_five", z, "yi", "vi")
write_json(list(info=list(R=R.version.string, note="lmer fits used bobyqa rhoend=1e-11"), cases=cases), "second.json", digits=NA, auto_unbox=TRUE, na="null", null="null", matrix="rowmajor")
