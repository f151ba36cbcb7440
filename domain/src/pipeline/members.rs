//! Members of a definition that carry their own rule, as types.

use crate::limits::{
    BUCKET_NAME_CHARS_MAX, BUCKET_NAME_CHARS_MIN, ROLE_ARN_CHARS_MAX, RUN_ORDER_MAX, TIMEOUT_MINUTES_MAX,
    TIMEOUT_MINUTES_MIN, VARIABLE_NAME_CHARS_MAX,
};
use events::BadName;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;

macro_rules! text {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $legal:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $type(String);

        impl $type {
            /// The only way in.
            ///
            /// # Errors
            /// When the text breaks the rule stated for this type.
            pub fn parse(text: impl Into<String>) -> Result<Self, BadName> {
                let text = text.into();
                let legal: fn(&str) -> bool = $legal;
                if legal(&text) {
                    Ok(Self(text))
                } else {
                    Err(BadName { kind: $kind, text: text.chars().take(120).collect(), rule: $rule })
                }
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
    };
}

text!(
    /// The ARN of an IAM role. Invariant: at most 1,024 characters,
    /// `arn:<partition>:iam::<12 digits>:role/<path and name>`.
    RoleArn, "role ARN", is_role_arn,
    "`arn:aws:iam::<12 digits>:role/<name>`, at most 1,024 characters"
);
text!(
    /// The name of a bucket. Invariant: 3 to 63 letters, digits, `-` or `.`.
    BucketName, "bucket name",
    |text| {
        (BUCKET_NAME_CHARS_MIN..=BUCKET_NAME_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
    },
    "3 to 63 letters, digits, `-` or `.`; a bucket's name without any folder"
);
text!(
    /// The name of a pipeline variable. Invariant: 1 to 128 letters, digits, `@`, `-` or `_`.
    VariableName, "variable name",
    |text| {
        (1..=VARIABLE_NAME_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"@-_".contains(&byte))
    },
    "1 to 128 letters, digits, `@`, `-` or `_`"
);

fn is_role_arn(text: &str) -> bool {
    if text.chars().count() > ROLE_ARN_CHARS_MAX {
        return false;
    }
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (arn, partition, service, region, account, resource) =
        (next(), next(), next(), next(), next(), next());
    arn == "arn"
        && is_partition(partition)
        && service == "iam"
        && region.is_empty()
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && resource.starts_with("role/")
}

/// `aws`, or `aws-` followed by letters, digits, `_` or `-`, as the API's pattern has it.
fn is_partition(text: &str) -> bool {
    match text.strip_prefix("aws") {
        Some("") => true,
        Some(rest) => {
            rest.len() > 1
                && rest.starts_with('-')
                && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        }
        None => false,
    }
}

macro_rules! bounded {
    ($(#[$doc:meta])* $type:ident($inner:ty), $kind:literal, $min:expr, $max:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $type($inner);

        impl $type {
            /// The only way in.
            ///
            /// # Errors
            /// When the number is out of the range stated for this type.
            pub fn parse(number: i64) -> Result<Self, BadName> {
                match <$inner>::try_from(number) {
                    Ok(inner) if ($min..=$max).contains(&inner) => Ok(Self(inner)),
                    Ok(_) | Err(_) => {
                        Err(BadName { kind: $kind, text: number.to_string(), rule: $rule })
                    }
                }
            }

            /// The number itself.
            pub fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(i64::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
    };
}

bounded!(
    /// The place of an action in its stage. Invariant: 1 to 999.
    RunOrder(u16), "run order", 1, RUN_ORDER_MAX, "a number from 1 to 999"
);
bounded!(
    /// How long an approval or a rule may take. Invariant: 5 to 86,400 minutes.
    TimeoutMinutes(u32), "timeout in minutes", TIMEOUT_MINUTES_MIN, TIMEOUT_MINUTES_MAX,
    "a number from 5 to 86400"
);

impl Default for RunOrder {
    fn default() -> Self {
        Self(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_arns_follow_the_apis_pattern() {
        for good in [
            "arn:aws:iam::123456789012:role/pipeline",
            "arn:aws-cn:iam::123456789012:role/service-role/x:y",
            "arn:aws-us-gov:iam::123456789012:role/",
        ] {
            assert!(RoleArn::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "pipeline",
            "arn:aws:iam::123456789012:user/pipeline",
            "arn:aws:iam::12345678901:role/pipeline",
            "arn:awsx:iam::123456789012:role/pipeline",
            "arn:aws:iam:eu-west-1:123456789012:role/pipeline",
            "arx:aws:iam::123456789012:role/pipeline",
            "arn:gcp:iam::123456789012:role/pipeline",
            "arn:aws-:iam::123456789012:role/pipeline",
            "arn:aws_x:iam::123456789012:role/pipeline",
            "arn:aws-x.y:iam::123456789012:role/pipeline",
            "arn:aws:sts::123456789012:role/pipeline",
            "arn:aws:iam::1234567890123:role/pipeline",
            "arn:aws:iam::12345678901x:role/pipeline",
            "arn:aws:iam::123456789012:role",
        ] {
            assert!(RoleArn::parse(bad).is_err(), "{bad}");
        }
        let long = |name: usize| format!("arn:aws-a_b:iam::123456789012:role/{}", "ä".repeat(name));
        let most = 1024 - long(0).len();
        assert_eq!(RoleArn::parse(long(most)).map(|arn| arn.as_str() == long(most)), Ok(true));
        let refused =
            RoleArn::parse(long(most + 1)).map_err(|error| (error.kind, error.text.chars().count()));
        assert_eq!(refused, Err(("role ARN", 120)));
    }

    #[test]
    fn numbers_stay_in_their_range() {
        assert!(RunOrder::parse(0).is_err());
        assert!(RunOrder::parse(1).is_ok());
        assert!(RunOrder::parse(999).is_ok());
        assert!(RunOrder::parse(1000).is_err());
        assert!(RunOrder::parse(-1).is_err());
        assert!(TimeoutMinutes::parse(4).is_err());
        assert!(TimeoutMinutes::parse(86_400).is_ok());
        assert!(TimeoutMinutes::parse(86_401).is_err());
        assert_eq!(TimeoutMinutes::parse(5).map(TimeoutMinutes::get), Ok(5));
        assert_eq!(RunOrder::parse(999).map(RunOrder::get), Ok(999));
        assert_eq!(RunOrder::default().get(), 1);
        let told = |refused: Result<String, BadName>| refused.map_err(|error| error.to_string());
        let order = |number| told(RunOrder::parse(number).map(|order| order.to_string()));
        assert_eq!(order(7), Ok("7".into()));
        assert_eq!(order(65_537), Err("`65537` is not a run order: a number from 1 to 999".into()));
        let minutes = told(TimeoutMinutes::parse(4).map(|minutes| minutes.to_string()));
        assert_eq!(minutes, Err("`4` is not a timeout in minutes: a number from 5 to 86400".into()));
    }

    #[test]
    fn names_of_variables_have_their_characters_and_their_length() {
        for good in ["a", "aZ0@-_", &"x".repeat(128)] {
            assert_eq!(VariableName::parse(good).map(|name| name.to_string()), Ok(good.to_owned()));
        }
        for bad in ["", "a b", "a.b", "ä", &"x".repeat(129)] {
            assert!(VariableName::parse(bad).is_err(), "{bad}");
        }
        let told = VariableName::parse("a b").map_err(|error| error.to_string());
        assert_eq!(
            told,
            Err("`a b` is not a variable name: 1 to 128 letters, digits, `@`, `-` or `_`".into())
        );
    }

    #[test]
    fn a_store_is_a_bucket_not_a_folder() {
        assert!(BucketName::parse("artifacts.example-1").is_ok());
        assert!(BucketName::parse("artifacts/folder").is_err());
        assert!(BucketName::parse("ab").is_err());
        assert!(BucketName::parse("abc").is_ok());
        assert!(BucketName::parse("x".repeat(63)).is_ok());
        assert!(BucketName::parse("x".repeat(64)).is_err());
        assert!(BucketName::parse("a_bc").is_err());
    }
}
