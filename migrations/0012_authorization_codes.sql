-- What an application gets when a user has agreed, to be changed once, within a minute, for the tokens of a session.
CREATE TABLE authorization_codes (
    hash bytea PRIMARY KEY CHECK (length(hash) = 32), -- SHA-256 of a random code
    application_id integer NOT NULL REFERENCES applications ON DELETE CASCADE,
    user_id integer NOT NULL REFERENCES users ON DELETE CASCADE,
    redirect_uri text, -- null: the request named none, and the application has one
    scopes text[] NOT NULL,
    code_challenge text, -- PKCE, S256
    expires_at timestamptz NOT NULL
);
