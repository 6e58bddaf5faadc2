"""What may be traded: the firm's rules as dated data, the floor, and the gate that every entry passes.

Values in, values out: knows no clock, no database and no network.
"""
