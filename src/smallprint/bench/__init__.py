"""Published tables with our own rows beside them: what is trained, how it is measured, how it is shown."""
