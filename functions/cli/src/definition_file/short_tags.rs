//! CloudFormation's short tags: `!Ref x` is `Ref: x`, `!Sub x` is `Fn::Sub: x`.

/// Those that stand for `Fn::` and their name.
const FUNCTIONS: [&str; 20] = [
    "And",
    "Base64",
    "Cidr",
    "Equals",
    "FindInMap",
    "GetAtt",
    "GetAZs",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Transform",
    "Contains",
    "EachMemberIn",
];

/// The key a tag is short for; the error says that it is short for none.
pub fn function(tag: &str) -> Result<Option<String>, String> {
    match tag.strip_prefix('!') {
        Some(name @ ("Ref" | "Condition")) => Ok(Some(name.to_owned())),
        Some(name) if FUNCTIONS.contains(&name) => Ok(Some(format!("Fn::{name}"))),
        Some(_) | None => Err(format!("`{tag}` is no tag of CloudFormation's: `!Ref` and `!Sub` are")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tag_has_its_key_and_others_are_refused() {
        let keys = ["!Ref", "!Condition", "!Sub", "!GetAZs"].map(|tag| function(tag).unwrap().unwrap());
        assert_eq!(keys, ["Ref", "Condition", "Fn::Sub", "Fn::GetAZs"]);
        for tag in ["!Reff", "!Fn::Sub", "!sub", "Ref", "tag:example.org,2000:Ref"] {
            let message = format!("`{tag}` is no tag of CloudFormation's: `!Ref` and `!Sub` are");
            assert_eq!(function(tag), Err(message));
        }
    }
}
