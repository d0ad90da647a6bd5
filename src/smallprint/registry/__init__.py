"""A model's life in MLflow: promoted, compared with the one before, rolled back, listed; and the form MLflow serves it in."""
