"""From what a device sends to datapoints in the hypertable: one way, whichever door it came in."""
