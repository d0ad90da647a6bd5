"""Settings, errors, results and the run folder."""
