"""The same operations over HTTP: for staff, by session or token, each with the permission that the panel asks for.

Money and prices are decimal strings, times UTC.
"""
