"""Records of probes as files that other programs read.  Needs neither torch nor Qt."""
