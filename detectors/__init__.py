"""Streaming statistics, pure: arrays in, arrays out; no I/O, no clock, no randomness of its own."""
