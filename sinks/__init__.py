"""Where results go: the PostgreSQL store (ledger, queue, outbox) and the routes that alerts take."""
