"""The OAuth2 authorization server: Authlib's protocol over our tables and sessions.

An application's session is like that of a sign-in (app/sessions.py), with the scopes that its user agreed to: an access
token for an hour, a refresh token for one use. With client credentials an application acts for its own owner.
"""
