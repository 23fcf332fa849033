-- Words by which devices and users are found: without accents and case, by their beginnings.
--
-- PostgreSQL's own full text with no dictionary (`simple`): it is there on every server, the embedded one too, where
-- extensions such as pg_trgm and unaccent are not. Functions and no columns: an index on a function is
-- computed when a device is described anew, not with each batch of readings.

-- Marks are parted from their letters and dropped; punctuation separates words, so that `2.1` is two of them.
CREATE FUNCTION plain_words(words text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN lower(regexp_replace(
    normalize(translate(left(words, 10000), '.,;:!?/\|_-+*@#&()[]{}<>"''', '                            '), NFKD),
    U&'[\0300-\036F]', '', 'g'
));

-- A country is the word `/es`: no text holds a slash any more, and a query adds it for every country it names.
CREATE FUNCTION device_words(name text, description text, city text, country_code text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN to_tsvector('simple'::regconfig, plain_words(name || ' ' || coalesce(description, '') || ' ' || coalesce(city, '')))
    || array_to_tsvector(ARRAY['/' || lower(coalesce(country_code, ''))]);

CREATE FUNCTION user_words(username text, city text, country_code text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN to_tsvector('simple'::regconfig, plain_words(username || ' ' || coalesce(city, '')))
    || array_to_tsvector(ARRAY['/' || lower(coalesce(country_code, ''))]);

CREATE INDEX devices_words ON devices USING gin (device_words(name, description, city, country_code))
WHERE archived_at IS NULL;
CREATE INDEX users_words ON users USING gin (user_words(username, city, country_code)) WHERE archived_at IS NULL;
