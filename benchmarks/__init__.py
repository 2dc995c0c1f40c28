"""Speed, scale and quality, measured against named peers: ``python -m benchmarks.NAME [--json] [--quick]``."""
