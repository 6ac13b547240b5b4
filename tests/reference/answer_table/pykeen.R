# Rscript pykeen.R TABLE: values of the real table (not committed: public data stay outside), and a table of its shape.
source("lib.R"); FACTORS <- c("loss", "optimizer", "training_loop"); BLOCKS <- c("dataset", "model")
cells <- function() {
  s <- expand.grid(replicate=1:2, optimizer=c("adadelta", "adam"), training_loop=c("lcwa", "owa"), loss=c("bceaftersigmoid", "crossentropy", "marginranking", "nssa", "softplus"),
                   model=c("complex", "ermlp", "proje", "simple"), dataset=c("fb15k237", "kinships"), stringsAsFactors=FALSE)
  s <- s[!(s$loss == "crossentropy" & s$training_loop == "owa") & !(s$loss %in% c("marginranking", "nssa") & s$training_loop == "lcwa"), ]
  s$negative_sampler <- ifelse(s$training_loop == "owa", "basic", ""); s
}
set.seed(20); s <- cells(); shift <- function(x, sd) { u <- unique(x); setNames(rnorm(length(u), 0, sd), u)[x] }
s$`hits@10` <- round(.45 + ifelse(s$dataset == "kinships", .3, 0) + shift(s$model, .1) + shift(s$loss, .08) + shift(paste(s$loss, s$model), .06) + shift(paste(s$optimizer, s$model), .05)
  + shift(paste(s$training_loop, s$model, s$dataset), .04) + rnorm(nrow(s), 0, .02), 5)
write.csv(s[c("dataset", "loss", "model", "optimizer", "training_loop", "hits@10", "negative_sampler")], "data/pykeen_shape.csv", row.names=FALSE, quote=FALSE, na="")
value <- function(file) { d <- read_table(file, c(FACTORS, "negative_sampler"), BLOCKS, "hits@10"); d$cell <- do.call(paste, c(d[FACTORS], sep="|"))
  answer(d, FACTORS, BLOCKS, first_levels(d, FACTORS), configurations=TRUE) }
save_json(value("data/pykeen_shape.csv"), "pykeen_shape.json")
table <- commandArgs(TRUE)
if (length(table)) save_json(value(table[1]), "pykeen_ablation.json")
