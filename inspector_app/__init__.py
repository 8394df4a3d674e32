"""Model Inspector: see what is inside a PyTorch model, change it safely, watch it run."""

__version__ = "0.1.0"
