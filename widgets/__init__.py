"""Reusable Qt widgets fed with plain data; they know nothing of the app."""
