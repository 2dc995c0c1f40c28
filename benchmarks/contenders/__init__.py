"""What is compared: a file each, run in a process of its own as ``python -m benchmarks.contenders.NAME TASK``."""
