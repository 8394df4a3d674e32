"""Small models to try the program on."""
