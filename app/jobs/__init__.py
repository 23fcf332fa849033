"""Background jobs: work that a request does not wait for, done by `almanac worker`."""
