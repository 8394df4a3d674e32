"""What the window and the backend share: plain data, its framing on the wire, and errors.

Imports neither torch nor Qt.
"""
