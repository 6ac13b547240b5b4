# Item outcomes of a small study, complete and with lost rows. Run in this folder: Rscript make.R
# Needs lme4, lmerTest, jsonlite. Writes outcomes.csv and reference.json.
suppressMessages({library(lme4); library(lmerTest); library(jsonlite)})
CTL <- lmerControl(optimizer="bobyqa", optCtrl=list(rhobeg=.02, rhoend=1e-11, maxfun=1e6), calc.derivs=FALSE, check.conv.singular="ignore")
set.seed(5); n <- 24
g <- expand.grid(replicate=1:3, A=c("a0","a1"), dataset=c("d0","d1"), model=c("m0","m1"), stringsAsFactors=FALSE); g$run <- seq_len(nrow(g))
base <- list(d0=rnorm(n, 0, 1.2), d1=rnorm(n, .5, 1)); slope <- list(d0=rnorm(n, .6, .8), d1=rnorm(n, .4, .8))
d <- do.call(rbind, lapply(g$run, function(r) { x <- g[r, ]; e <- base[[x$dataset]] + (x$A == "a1") * slope[[x$dataset]] + rnorm(1, 0, .3)
  data.frame(run=paste0("r", sprintf("%02d", r)), x[c("model","dataset","A")], item=seq_len(n), outcome=rbinom(n, 1, plogis(e)), row.names=NULL) }))
d$lost <- as.integer(runif(nrow(d)) < .1)
write.csv(d, "outcomes.csv", row.names=FALSE, quote=FALSE)
shape <- function(m) { v <- as.data.frame(VarCorr(m)); list(criterion=REMLcrit(m), variances=setNames(as.list(v$vcov), paste(v$grp, ifelse(is.na(v$var1), "", v$var1), ifelse(is.na(v$var2), "", v$var2)))) }
out <- list()
for (part in c("complete", "lost")) { e <- if (part == "lost") subset(d, lost == 0) else d
  e$it <- factor(paste(e$dataset, e$item)); e$k <- factor(paste(e$model, e$dataset)); e$c <- ifelse(e$A == "a1", .5, -.5)
  m <- lmer(outcome ~ A:k + (1 | run) + (1 | it), e, control=CTL); out[[part]] <- shape(m)
  s <- lmer(outcome ~ c * k + (1 | run) + (1 + c | it), e, control=CTL, contrasts=list(k="contr.sum")); out[[part]]$slope <- c(shape(s), as.list(coef(summary(s))["c", ])) }
write(toJSON(out, auto_unbox=TRUE, digits=15, pretty=TRUE), "reference.json")
