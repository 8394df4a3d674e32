"""The window: commands, panels and the client of the backend; never imports torch."""
