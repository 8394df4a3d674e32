"""Probes: temporary hooks and what they measure, cheap enough to be left on in training."""
