"""What runs again and again beside ingest; every job is idempotent, so any number of processes may run it."""
