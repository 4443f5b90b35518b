//! The login strategy `oauth`: OpenID Connect and OAuth 2 providers.
