"""Using a bundle: texts or tables in, scores and labels out."""
