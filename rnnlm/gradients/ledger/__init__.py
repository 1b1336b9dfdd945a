"""The gradient by time lag: a table of it is called a ledger."""
