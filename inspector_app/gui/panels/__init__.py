"""Docks and dialogs of the main window."""
