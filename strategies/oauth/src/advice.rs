//! What the operator can do about a provider's no, by its `error` code: one sentence, for the
//! log and for whoever was refused. No word of the provider's is in it.

/// None: there is nothing to be done here, as where somebody pressed "Cancel".
pub(crate) fn of(code: &str) -> Option<&'static str> {
    Some(match code {
        // The last one is GitHub's word.
        "invalid_client" | "unauthorized_client" | "incorrect_client_credentials" => {
            "compare client_id, client_secret and client_auth with the registration at the provider; a secret may have run out"
        }
        // The second is GitHub's and Google's word.
        "invalid_request" | "redirect_uri_mismatch" => {
            "register at the provider exactly the redirect URL that `portcullis check` prints"
        }
        "invalid_scope" => "set `scopes` to what the provider allows this client",
        "invalid_grant" | "bad_verification_code" => {
            "sign in once more; if that does not help, compare the clock of this machine and the redirect URL with the provider's"
        }
        "invalid_target"
        | "invalid_request_object"
        | "request_not_supported"
        | "request_uri_not_supported" => {
            "look at `parameters`, `jar` and `par`: the provider does not take the request as it is made"
        }
        "unsupported_response_type" | "unsupported_grant_type" => {
            "allow this client the authorization code at the provider"
        }
        "invalid_token" => "the provider does not take its own token: look at `scopes`, and at its userinfo",
        "application_suspended" => "the provider has suspended this client: ask there",
        "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => {
            "with `prompt = \"none\"` only those get in who are signed in at the provider and have agreed"
        }
        "tenant_not_listed" => "list the directory's GUID in `tenants` if its people are to get in",
        "unmet_authentication_requirements" => {
            "the provider did not reach one of `acr_values`: look at its rules for this client"
        }
        "unreadable_error" => "the provider's own log says why",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn what_is_about_the_registration_has_its_sentence_and_a_cancel_has_none() {
        let codes = [
            "invalid_client",
            "unauthorized_client",
            "invalid_scope",
            "redirect_uri_mismatch",
            "invalid_request",
        ];
        for code in codes {
            assert!(of(code).is_some(), "{code}");
        }
        assert_eq!(of("access_denied"), None);
        assert_eq!(of("CANARY"), None);
    }
}
