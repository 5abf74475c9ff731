"""Delivers chat messages to Amazon Connect."""

__version__ = "0.4.0"
