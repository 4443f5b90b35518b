//! The login strategy `ldap`: names and passwords of a directory.
