"""Live streams: datapoints to whoever listens, as they are committed.

One thread a process holds every stream's socket and follows `arrivals` in the database; a Redis stream says when to
look. A listener is a position and a filter: to be live and to catch up are the same query from another position.
"""
