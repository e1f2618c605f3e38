"""Experiments, and how they are trained and evaluated."""
