"""The live views: each draws what the probes measured in its own way."""
