"""Qt item models over received tables."""
