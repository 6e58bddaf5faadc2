"""The same operations over HTTP: for staff, by session or token. Money and prices are decimal strings, times UTC."""
