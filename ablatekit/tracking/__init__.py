"""The MLflow mirror: the only importer of mlflow."""
