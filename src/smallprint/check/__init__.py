"""The data doctor: what is wrong with a table, before an hour is spent on it."""
