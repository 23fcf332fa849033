"""Rows of the database as the JSON objects of the Smart Citizen wire, seen by whoever asks. Pure."""

FILTERED = "[FILTERED]"  # stands for what only the owner and admins see; clients compare with it
