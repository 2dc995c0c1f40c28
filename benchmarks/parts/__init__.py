"""The parts of benchmarks.throughput, a file each: what is measured, its table, its figures and its goals."""
