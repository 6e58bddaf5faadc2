"""What we do: each operation does one thing and leaves a row. No HTTP inside a transaction; `now` comes from the caller."""
