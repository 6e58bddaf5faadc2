"""What we do: each operation does one thing and leaves a row; no HTTP in a transaction, `now` comes from the caller."""
