//! An account as its owner is told of it.

use crate::{clock::UnixMillis, login::body::Body, sessions::Account};
use serde_json::{Value, json};

/// The `authenticated` member of the superset answer.
pub(crate) fn of(account: &Account) -> Value {
    json!({
        "uuid": account.uuid.to_string(),
        "name": account.name,
        "email": account.email,
        "roles": account.roles,
    })
}

/// A JSON:API resource; its `name` is the display name (contract section 5, Bodies).
pub(crate) fn resource(account: &Account, token: Option<(&str, UnixMillis)>) -> Value {
    let mut attributes = json!({
        "name": account.display_name,
        "email": account.email,
        "created": rfc3339(account.created),
        "updated": rfc3339(account.updated),
    });
    if let Some((token, expires)) = token {
        attributes["access_token"] = token.into();
        attributes["access_token_expiry"] = expires.seconds().into();
    }
    json!({ "data": { "type": "users", "id": account.uuid.to_string(), "attributes": attributes } })
}

/// The members of the superset that tell of a token.
pub(crate) fn add_token(answer: &mut Value, token: &str, expires: UnixMillis, now: UnixMillis) {
    answer["token"] = token.into();
    answer["token_type"] = "Bearer".into();
    answer["expires_in"] = expires.seconds().saturating_sub(now.seconds()).into();
    answer["expires_at"] = expires.seconds().into();
}

/// What was typed into a field, to be shown again.
pub(super) fn typed<'b>(body: &'b Body, name: &str) -> Option<&'b str> {
    body.fields.get(name).and_then(Value::as_str)
}

/// A time for people.
pub(super) fn minute(time: UnixMillis) -> String {
    format!("{} UTC", rfc3339(time)[..16].replace('T', " "))
}

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn rfc3339(time: UnixMillis) -> String {
    let (days, millis) = (time.0 / 86_400_000, time.0 % 86_400_000);
    let (year, month, day) = civil(days);
    let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
    let (second, millis) = (millis / 1000 % 60, millis % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Days since 1970 to year, month and day of the Gregorian calendar.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    // 400 years are 146,097 days: no loop is longer than that, whatever the clock says.
    year += days / 146_097 * 400;
    days %= 146_097;
    while days >= if leap(year) { 366 } else { 365 } {
        days -= if leap(year) { 366 } else { 365 };
        year += 1;
    }
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_602_600_225, "2020-10-13T14:43:45.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(rfc3339(UnixMillis(seconds * 1000)), text);
        }
        assert_eq!(rfc3339(UnixMillis(7)), "1970-01-01T00:00:00.007Z");
    }
}
