"""From a target's text to an open model or checkpoint; one file per format."""
