"""Fitting with Lightning."""
