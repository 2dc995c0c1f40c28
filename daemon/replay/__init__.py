"""A replay: what the service would have read, and when it would have alarmed, had it watched these events."""
