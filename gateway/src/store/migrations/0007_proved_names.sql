-- 0: the name is an address that was not proved to be the account's own. Others are told
-- the uuid in its place, also when the account has another address by now.
ALTER TABLE accounts ADD COLUMN name_proved INTEGER NOT NULL DEFAULT 1;
UPDATE accounts SET name_proved = 0 WHERE email IS NOT NULL AND NOT email_verified
    AND (name = email OR substr(name, 1, length(email) + 1) = email || '@');
