"""How well changes are told from what is none: a file for each part of ``benchmarks.detection``."""
