"""Benchmarks: each measures itself against a floor or a peer in the same run and ends with one line of JSON."""
