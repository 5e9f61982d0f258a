"""Fleetseal gives every network camera of a site its own HTTPS certificate and keeps it valid."""

__version__ = "0.1.0"
