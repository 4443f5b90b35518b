//! What is known of providers, as data: addresses, scopes, names of claims, and the few
//! ways in which they differ. No preset takes a check away.

/// Something that a provider does its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quirk {
    None,
    /// Organisations, teams and addresses are asked of an API.
    Github,
    /// The issuer has the tenant in it, and the two shared ones leave it open.
    Microsoft,
    /// The secret is a token signed with a key of the team's.
    Apple,
}

/// One provider.
#[derive(Debug)]
pub(crate) struct Preset {
    pub(crate) name: &'static str,
    /// `{tenant}` is a setting. None: plain OAuth 2, or the operator writes it.
    pub(crate) issuer: Option<&'static str>,
    /// Plain OAuth 2: authorize, token, userinfo.
    pub(crate) endpoints: Option<[&'static str; 3]>,
    pub(crate) scopes: &'static [&'static str],
    /// Paths of subject, name, display name, address and groups.
    pub(crate) claims: Paths,
    /// Sent along with each request for a login.
    pub(crate) parameters: &'static [(&'static str, &'static str)],
    pub(crate) form_post: bool,
    /// How the hint of a domain is called there.
    pub(crate) domain_hint: &'static str,
    pub(crate) quirk: Quirk,
    /// How often it is asked again about somebody, in seconds.
    pub(crate) refresh: u64,
    /// What the operator enters there, beside the redirect URL.
    pub(crate) register: &'static str,
}

/// Where claims are; empty: nowhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paths {
    pub(crate) subject: &'static str,
    pub(crate) name: &'static str,
    pub(crate) display_name: &'static str,
    pub(crate) email: &'static str,
    pub(crate) groups: &'static str,
}

/// The claims of OpenID Connect Core §5.1, and the usual one for groups.
const STANDARD: Paths =
    Paths { subject: "sub", name: "", display_name: "name", email: "email", groups: "groups" };

const OPENID: &[&str] = &["openid", "profile", "email"];

const GENERIC: Preset = Preset {
    name: "generic",
    issuer: None,
    endpoints: None,
    scopes: OPENID,
    claims: STANDARD,
    parameters: &[],
    form_post: false,
    domain_hint: "domain_hint",
    quirk: Quirk::None,
    refresh: 3600,
    register: "a confidential web client with the authorization code grant",
};

/// All of them.
pub(crate) const PRESETS: &[Preset] = &[
    GENERIC,
    Preset {
        name: "google",
        issuer: Some("https://accounts.google.com"),
        parameters: &[("access_type", "offline")],
        domain_hint: "hd",
        register: "Google Cloud console, APIs & Services, Credentials: an OAuth client ID of type `Web application`",
        ..GENERIC
    },
    Preset {
        name: "github",
        endpoints: Some([
            "https://github.com/login/oauth/authorize",
            "https://github.com/login/oauth/access_token",
            "https://api.github.com/user",
        ]),
        scopes: &["read:user", "user:email", "read:org"],
        claims: Paths {
            subject: "id",
            name: "login",
            display_name: "name",
            email: "email",
            groups: "groups",
        },
        quirk: Quirk::Github,
        register: "GitHub, Settings, Developer settings, OAuth Apps: a new OAuth App",
        ..GENERIC
    },
    Preset {
        name: "gitlab",
        issuer: Some("https://gitlab.com"),
        register: "GitLab, Preferences, Applications: a confidential application with the scopes `openid profile email`",
        claims: Paths { name: "preferred_username", ..STANDARD },
        ..GENERIC
    },
    Preset {
        name: "microsoft",
        issuer: Some("https://login.microsoftonline.com/{tenant}/v2.0"),
        // The last one lets Graph be asked for groups that are too many for a token.
        scopes: &["openid", "profile", "email", "User.Read"],
        quirk: Quirk::Microsoft,
        register: "Microsoft Entra, App registrations: a web application with a client secret, and the delegated permission User.Read of Microsoft Graph; `groups` under Token configuration",
        ..GENERIC
    },
    Preset {
        name: "keycloak",
        register: "Keycloak, the realm's Clients: an OpenID Connect client with client authentication, and a mapper of type Group Membership",
        ..GENERIC
    },
    Preset { name: "auth0", register: "Auth0, Applications: a Regular Web Application", ..GENERIC },
    Preset {
        name: "okta",
        scopes: &["openid", "profile", "email", "groups"],
        register: "Okta, Applications: an OIDC Web Application, with a groups claim in its ID token",
        ..GENERIC
    },
    Preset {
        name: "apple",
        issuer: Some("https://appleid.apple.com"),
        scopes: &["openid", "name", "email"],
        form_post: true,
        quirk: Quirk::Apple,
        // More often it may refuse to answer.
        refresh: 86_400,
        register: "Apple Developer, Identifiers: a Services ID with Sign in with Apple, and a key for it",
        ..GENERIC
    },
    Preset {
        name: "discord",
        endpoints: Some([
            "https://discord.com/oauth2/authorize",
            "https://discord.com/api/oauth2/token",
            "https://discord.com/api/users/@me",
        ]),
        scopes: &["identify", "email"],
        claims: Paths {
            subject: "id",
            name: "username",
            display_name: "global_name",
            email: "email",
            groups: "",
        },
        register: "Discord Developer Portal: an application, under OAuth2",
        ..GENERIC
    },
    Preset {
        name: "facebook",
        endpoints: Some([
            "https://www.facebook.com/v23.0/dialog/oauth",
            "https://graph.facebook.com/v23.0/oauth/access_token",
            "https://graph.facebook.com/v23.0/me?fields=id,name,email",
        ]),
        scopes: &["public_profile", "email"],
        claims: Paths { subject: "id", name: "", display_name: "name", email: "email", groups: "" },
        register: "Meta for Developers: an app with Facebook Login",
        ..GENERIC
    },
    // Its ID tokens repeat no nonce, so its plain OAuth 2 side is used.
    Preset {
        name: "linkedin",
        endpoints: Some([
            "https://www.linkedin.com/oauth/v2/authorization",
            "https://www.linkedin.com/oauth/v2/accessToken",
            "https://api.linkedin.com/v2/userinfo",
        ]),
        register: "LinkedIn Developers: an app with the product `Sign In with LinkedIn using OpenID Connect`",
        ..GENERIC
    },
];

/// By name.
pub(crate) fn named(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// The one of a bare `issuer`.
pub(crate) fn generic() -> &'static Preset {
    &PRESETS[0]
}
