# Broad inference on unbalanced studies. Run in this folder: Rscript make.R
# Needs lme4, lmerTest, pbkrtest, jsonlite. Writes runs.csv and reference.json.
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(jsonlite)})
CTL <- lmerControl(optimizer="bobyqa", optCtrl=list(rhobeg=.02, rhoend=1e-11, maxfun=1e6), calc.derivs=FALSE, check.conv.singular="ignore")
set.seed(11)
g <- expand.grid(replicate=1:3, A=c("a0","a1"), B=c("b0","b1"), dataset=c("d0","d1"), model=c("m0","m1","m2"), stringsAsFactors=FALSE)
k <- paste(g$model, g$dataset); ctx <- unique(k); i <- match(k, ctx); on <- as.numeric(g$A == "a1"); at <- as.numeric(g$B == "b1")
study <- function(name, slope, keep) {
  u <- rnorm(6); v <- rnorm(6, 0, slope); w <- rnorm(6, 0, slope)
  data.frame(study=name, g, y=round(u[i] + .4 * at + (.3 + v[i]) * on + w[i] * on * at + rnorm(nrow(g)), 6))[keep, ]
}
d <- rbind(study("lost", .6, runif(72) > .25), study("no_spread", 0, runif(72) > .2),
           study("context_without_a1", .5, !(g$model == "m2" & g$dataset == "d1" & on == 1) & runif(72) > .05))
write.csv(d, "runs.csv", row.names=FALSE, quote=FALSE); d <- read.csv("runs.csv", stringsAsFactors=TRUE)
cells <- c("a0 b0","a1 b0","a0 b1","a1 b1")
contrasts <- list(average=c(-.5,.5,-.5,.5), baseline=c(-1,1,0,0), removal=c(0,0,-1,1), interaction=c(1,-1,-1,1))
out <- list()
for (s in levels(d$study)) { e <- subset(d, study == s); e$cell <- factor(paste(e$A, e$B), levels=cells); e$ctx <- interaction(e$model, e$dataset)
  for (n in names(contrasts)) { w <- contrasts[[n]]; e$c <- (w / sum(w^2))[as.integer(e$cell)]
    m <- lmerTest::lmer(y ~ 0 + cell + (1 | ctx) + (0 + c | ctx), e, control=CTL)
    L <- matrix(w, 1); v <- as.matrix(vcovAdj(m))
    out[[s]][[n]] <- list(estimate=sum(w * fixef(m)), se=sqrt(drop(L %*% v %*% t(L))), df=KRmodcomp(m, L)$stats$ddf, criterion=REMLcrit(m), tau=as.data.frame(VarCorr(m))$sdcor[2]) } }
write(toJSON(out, auto_unbox=TRUE, digits=15, pretty=TRUE), "reference.json")
