"""Search for better settings, and say whether they are better. In: data, settings, a budget. Out: a folder with a study,
the winner's run, sweep.json and a page.

`command` is the way from end to end. Trials are judged by validation (or folds), and test is opened once, for the winner.
"""
