"""The window's side of the wire: the worker's process, the connection, requests."""
