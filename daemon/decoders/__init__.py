"""What a record's bytes mean: each decoder makes our own event of them. A new one is a file here and an entry point."""
