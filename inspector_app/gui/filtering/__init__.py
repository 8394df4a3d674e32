"""The filter of the tree: a small language, and what it finds in a table; knows no Qt."""
