"""HTTP and a page over engines: `app.py` puts the parts together, `run.py` starts the process. In: bundles. Out: JSON, a page.

Texts that come in are answered and forgotten: they stand in no log, no metric and no file.
"""
