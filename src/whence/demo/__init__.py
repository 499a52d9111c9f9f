"""The generated demo: a bank support desk that does not exist, and a tiny base model to tune on it."""
