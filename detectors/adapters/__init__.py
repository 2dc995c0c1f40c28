"""Detectors of other libraries as monitors. They work outside the false-alarm budget."""
