"""Everything that touches torch; knows no Qt."""
