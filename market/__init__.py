"""The vocabulary everything shares: contracts, sessions, bars, plans, orders, positions, and how a bar fills orders.

Knows no clock, no database and no network.
"""
