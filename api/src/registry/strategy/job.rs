//! Jobs: schedules that can be kept, in zones that exist.

use std::str::FromStr;

use berth_schema::FieldError;
use serde_json::Value;

use super::template;

pub(super) fn validate(new: &Value, _old: Option<&Value>, errors: &mut Vec<FieldError>) {
    template::validate(new, "spec.template.spec", errors);
    for (index, schedule) in new["spec"]["schedules"].as_array().into_iter().flatten().enumerate() {
        if let Some(text) = schedule["cron"].as_str()
            && let Err(why) = check_cron(text)
        {
            errors.push(FieldError::invalid(format!("spec.schedules[{index}].cron"), &schedule["cron"], &why));
        }
        if let Some(zone) = schedule["timeZone"].as_str()
            && jiff::tz::TimeZone::get(zone).is_err()
        {
            errors.push(FieldError::invalid(
                format!("spec.schedules[{index}].timeZone"),
                &schedule["timeZone"],
                "must be the name of an IANA time zone, such as Europe/Berlin or UTC",
            ));
        }
    }
}

/// Reads an expression with five fields, six (seconds first), or an @ word.
fn check_cron(text: &str) -> Result<(), String> {
    croner::Cron::from_str(text).map(|_| ()).map_err(|error| {
        format!("{error}: must be minute hour day month weekday (seconds may stand in front), or @hourly, @daily, …")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_and_zones() {
        for good in ["0 3 * * *", "*/5 * * * *", "30 0 3 * * *", "@daily", "0 0 1 1 *", "0 9 * * MON-FRI"] {
            assert_eq!(check_cron(good), Ok(()), "{good}");
        }
        for bad in ["", "x", "61 * * * *", "* * * *", "@sometimes"] {
            assert!(check_cron(bad).is_err(), "{bad}");
        }
        let job = serde_json::json!({"spec": {
            "schedules": [{"cron": "0 3 * * *", "timeZone": "Mars/Olympus"}],
            "template": {"spec": {"containers": [{"name": "a", "shell": "true"}]}},
        }});
        let mut errors = Vec::new();
        validate(&job, None, &mut errors);
        assert_eq!(errors[0].field, "spec.schedules[0].timeZone");
    }
}
