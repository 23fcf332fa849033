"""Data to take away: read in slices of time, write as CSV or Parquet, keep where it can be fetched."""
