# Rscript kenward_roger.R: an unbalanced 2x3 factorial in crossed contexts, 150 rows; Satterthwaite and Kenward-Roger by lmerTest and pbkrtest.
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(jsonlite)})
set.seed(150); g <- expand.grid(run=1:4, a=c("a0", "a1"), b=c("b0", "b1", "b2"), ds=c("d0", "d1", "d2"), model=c("m0", "m1", "m2", "m3"), stringsAsFactors=FALSE)
g <- g[sort(sample(nrow(g), 150)), ]; shift <- function(v, sd) { u <- unique(v); setNames(rnorm(length(u), 0, sd), u)[v] }
g$y <- round(.3 * (g$a == "a1") + .2 * (g$b == "b1") - .1 * (g$b == "b2") + shift(g$model, .6) + shift(g$ds, .4) + shift(paste(g$model, g$ds), .3) + rnorm(150, 0, .45), 6)
write.csv(g[c("model", "ds", "a", "b", "y")], "data/kenward_roger.csv", row.names=FALSE, quote=FALSE)
d <- read.csv("data/kenward_roger.csv", stringsAsFactors=TRUE)
m <- lmer(y ~ a * b + (1 | model) + (1 | ds) + (1 | model:ds), d, control=lmerControl(optimizer="bobyqa", optCtrl=list(rhobeg=.02, rhoend=1e-11, maxfun=1e6), calc.derivs=FALSE))
s <- coef(summary(m)); k <- coef(summary(m, ddf="Kenward-Roger")); n <- rownames(s)
row <- function(x, i) list(estimate=x[i, 1], se=x[i, 2], df=x[i, 3], t=x[i, 4], p=x[i, 5])
F <- function(ddf) { t <- anova(m, type=3, ddf=ddf); setNames(lapply(seq_len(nrow(t)), function(i) list(num_df=t$NumDF[i], den_df=t$DenDF[i], f=t$`F value`[i], p=t$`Pr(>F)`[i])), rownames(t)) }
v <- as.data.frame(VarCorr(m))
write(toJSON(list(formula="y ~ a*b + (1|model) + (1|ds) + (1|model:ds)", criterion=REMLcrit(m), variances=setNames(as.list(v$vcov), v$grp),
  satterthwaite=setNames(lapply(seq_along(n), function(i) row(s, i)), n), kenward_roger=setNames(lapply(seq_along(n), function(i) row(k, i)), n), kr_vcov=as.matrix(vcovAdj(m)),
  anova_satterthwaite=F("Satterthwaite"), anova_kenward_roger=F("Kenward-Roger")), auto_unbox=TRUE, digits=I(15), pretty=TRUE), "kenward_roger.json")
