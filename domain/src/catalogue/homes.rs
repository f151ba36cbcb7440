//! What the home on AWS carries out itself. Job workers do the custom types, wherever Towpath lives.

/// Providers by category, of types that AWS owns, in version 1.
const ON_AWS: [(&str, &[&str]); 7] = [
    ("Source", &["CodeCommit", "S3"]),
    ("Build", &["CodeBuild", "Commands"]),
    ("Test", &["CodeBuild"]),
    ("Compute", &["Commands"]),
    ("Deploy", &["CloudFormation", "CodeDeploy", "ECS", "S3"]),
    ("Invoke", &["Lambda", "StepFunctions"]),
    ("Approval", &["Manual"]),
];

/// True when a Towpath on AWS carries such actions out.
pub fn is_done_on_aws(category: &str, provider: &str) -> bool {
    ON_AWS.iter().any(|(of, providers)| *of == category && providers.contains(&provider))
}

#[cfg(test)]
mod tests {
    use super::is_done_on_aws;

    #[test]
    fn category_and_provider_belong_together() {
        for (category, provider, is_done) in [
            ("Source", "S3", true),
            ("Deploy", "S3", true),
            ("Test", "CodeBuild", true),
            ("Approval", "Manual", true),
            ("Test", "Commands", false),
            ("Build", "S3", false),
            ("Source", "GitHub", false),
            ("Nothing", "S3", false),
        ] {
            assert_eq!(is_done_on_aws(category, provider), is_done, "{category}/{provider}");
        }
    }
}
