# The effect of a level against the size of the model: R's lm and predict.lm on the per-model means of
# the contrast. Run from this folder with jsonlite installed: Rscript make.R
library(jsonlite)
d <- expand.grid(run=1:2, dataset=c("d0","d1"), A=c("a0","a1"), model=c("m0","m1","m2","m3","m4"), stringsAsFactors=FALSE)
size <- c(m0=1.2e5, m1=5e8, m2=3e6, m3=7e7, m4=1.1e5)
set.seed(11)
d$y <- round(rnorm(nrow(d), 50, 1) + (d$A=="a1")*(1 + .3*log(size[d$model]) + rnorm(5)[match(d$model,names(size))]) + 3*(d$dataset=="d1"), 3)
d <- d[!(d$model=="m2" & d$dataset=="d1" & d$A=="a1"),]
write.csv(d, "runs.csv", row.names=FALSE, quote=FALSE)
cell <- aggregate(y ~ A + dataset + model, d, mean)
wide <- merge(cell[cell$A=="a1",], cell[cell$A=="a0",], by=c("model","dataset"))
effect <- tapply(wide$y.x - wide$y.y, wide$model, mean)
m <- lm(effect ~ x, data.frame(effect=as.numeric(effect), x=log(size[names(effect)])))
at <- data.frame(x=log(7e9))
s <- summary(m)$coefficients["x",]; ci <- confint(m)["x",]
mean_at <- predict(m, at, se.fit=TRUE, interval="confidence"); new_at <- predict(m, at, interval="prediction")
writeLines(toJSON(list(R=R.version.string, size=as.list(size), effect=as.list(effect), slope=unname(s[1]), se=unname(s[2]), df=m$df.residual, p=unname(s[4]), low=unname(ci[1]), high=unname(ci[2]),
  at=7e9, estimate=unname(mean_at$fit[1]), se_at=unname(mean_at$se.fit), low_at=unname(mean_at$fit[2]), high_at=unname(mean_at$fit[3]), low_new=unname(new_at[2]), high_new=unname(new_at[3])), digits=NA, auto_unbox=TRUE, pretty=TRUE), "reference.json")
