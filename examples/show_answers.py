"""Prints the labels of a labelled file beside the first words of each text: python examples/show_answers.py FILE.csv."""

import csv
import sys

with open(sys.argv[1], encoding="utf-8", newline="") as file:  # noqa: PTH123
    for row in csv.DictReader(file):
        labels = row["labels"].replace("|", " + ") or "fair"
        print(f"{row['id']:>2}  {labels:<48}  {row['text'][:70]}")
