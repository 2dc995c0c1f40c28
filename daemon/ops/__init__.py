"""How the daemon is doing: heartbeats, health, metrics, and who is told."""
