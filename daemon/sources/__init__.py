"""The Kafka clients that events can be read with: a file for each, behind the interface of ``daemon/source.py``."""
