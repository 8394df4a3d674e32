"""A session inside of a training process: the loop goes on, whoever watches."""
