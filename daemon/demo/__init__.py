"""The demonstration: a real model, real services of its own, and a story with known changes."""
