"""smallprint: from your team's labelled text to a model of your own."""

__version__ = "0.1.0"
