"""Arrays in, numbers out: metrics, thresholds, intervals, plots and the report. No model ever comes in here."""
