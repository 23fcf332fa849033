"""Webhooks: alerts as signed HTTP requests to addresses that users name.

Headers, secret and signature are those of Standard Webhooks 1.0.0, for which receivers find libraries.
"""
