-- What its user knows a session by: the program, and the network it was in when it began or was refreshed. Not the whole
-- address: a person does not know it, and who reads this table need not.
ALTER TABLE sessions
    ADD COLUMN client text, -- null: an application's, which has a name, or one that did not say
    ADD COLUMN network cidr;
