"""Answer history: the datapoints of a range as buckets of any size, in any time zone, exact to the last write."""
