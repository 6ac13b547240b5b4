"""A plain scikit-learn script: what `studies/sklearn_choices.yaml` runs. It knows no ablatekit.

The test items of a data set depend on --split-seed alone, the rows that are trained on also on
--seed: half of the others, as if they had been collected anew.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

SCALERS = {"none": "passthrough", "standard": StandardScaler(), "minmax": MinMaxScaler()}

parser = argparse.ArgumentParser()
parser.add_argument("--dataset", choices=["breast_cancer", "wine", "digits"])
parser.add_argument("--scaler", choices=SCALERS)
parser.add_argument("--model", choices=["logistic", "svm"])
parser.add_argument("--inverse-regularisation", type=float)
parser.add_argument("--seed", type=int)
parser.add_argument("--split-seed", type=int)
parser.add_argument("--metrics", type=Path)
parser.add_argument("--items", type=Path)
chosen = parser.parse_args()

x, y = getattr(datasets, f"load_{chosen.dataset}")(return_X_y=True)
rest, test = train_test_split(
    np.arange(len(y)), test_size=0.3, stratify=y, random_state=chosen.split_seed
)
train, _ = train_test_split(rest, train_size=0.5, stratify=y[rest], random_state=chosen.seed)

strength = chosen.inverse_regularisation
model = (
    LogisticRegression(C=strength, max_iter=20_000)
    if chosen.model == "logistic"
    else SVC(C=strength)
)
pipeline = make_pipeline(SCALERS[chosen.scaler], model).fit(x[train], y[train])

right = pipeline.predict(x[test]) == y[test]
metrics = {"train/accuracy": pipeline.score(x[train], y[train]), "test/accuracy": right.mean()}
chosen.metrics.write_text(json.dumps(metrics) + "\n", encoding="utf-8")
items = (
    {"split": "test", "dataset": chosen.dataset, "item": int(item), "outcome": int(outcome)}
    for item, outcome in zip(test, right, strict=True)
)
chosen.items.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
