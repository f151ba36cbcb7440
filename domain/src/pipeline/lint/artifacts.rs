//! Artifacts: who may read them, and whether anybody does.

use super::accounts::account_of;
use super::{Family, Findings, Rule, Severity};
use crate::pipeline::validation::{places, rules_with_paths};
use crate::pipeline::{ArtifactStore, PipelineDeclaration, variables};
use events::{ActionCategory, ArtifactName};
use std::collections::BTreeSet;

pub(super) const FAMILY: Family =
    Family { rules: &[&CROSS_ACCOUNT_WITHOUT_KEY, &DEFAULT_ARTIFACT_KEY, &UNREAD_OUTPUT], check };

static CROSS_ACCOUNT_WITHOUT_KEY: Rule = Rule {
    id: "cross-account-without-key",
    severity: Severity::Warning,
    what: "an action in another account, and an artifact store without a key of your own",
    why: "Without `encryptionKey` artifacts are encrypted with the account's AWS managed key for S3, which no other \
          account can be allowed to use: the action fails to read its input with an access error.",
    mend: "Add `encryptionKey` with a KMS key whose policy lets the other account's role decrypt.",
};

static DEFAULT_ARTIFACT_KEY: Rule = Rule {
    id: "default-artifact-key",
    severity: Severity::Note,
    what: "an artifact store without `encryptionKey`",
    why: "Artifacts hold your source and what is built from it. They are encrypted with a key whose policy cannot be \
          changed: whoever in the account may read the bucket may read them, and no other account ever can.",
    mend: "Add `encryptionKey` with a KMS key of your own, if your rules ask for one.",
};

static UNREAD_OUTPUT: Rule = Rule {
    id: "unread-output",
    severity: Severity::Note,
    what: "an output artifact that no later action or condition reads",
    why: "Each run packs, uploads and keeps it. Often an `inputArtifacts` of a later action names the wrong \
          artifact, and deploys the source in place of what was built.",
    mend: "Name it in `inputArtifacts` of the action that should read it, or leave it out of `outputArtifacts`.",
};

fn check(declaration: &PipelineDeclaration, found: &mut Findings) {
    let crossing = check_cross_account(declaration, found);
    // The same store needs to be told of once.
    if !crossing {
        check_stores(declaration, found);
    }
    check_outputs(declaration, found);
}

fn stores(declaration: &PipelineDeclaration) -> impl Iterator<Item = (String, &ArtifactStore)> {
    let one = declaration.artifact_store.iter().map(|store| ("artifactStore".to_owned(), store));
    let many = declaration.artifact_stores.iter().flatten();
    one.chain(many.map(|(region, store)| (format!("artifactStores.{region}"), store)))
}

fn check_cross_account(declaration: &PipelineDeclaration, found: &mut Findings) -> bool {
    let own = account_of(declaration.role_arn.as_str());
    let Some((_, bare)) = stores(declaration).find(|(_, store)| store.encryption_key.is_none()) else {
        return false;
    };
    let mut crossing = false;
    for place in places(declaration) {
        let action = place.action;
        let other = action.role_arn.as_ref().map(|role| account_of(role.as_str()));
        let handles = !action.input_artifacts.is_empty() || !action.output_artifacts.is_empty();
        if !handles || other.is_none_or(|other| other == own) {
            continue;
        }
        // A store of a Region nobody here asks about may do without a key.
        let store = action.region.as_deref().and_then(|region| declaration.store(region)).unwrap_or(bare);
        if store.encryption_key.is_none() {
            crossing = true;
            found.add(
                &CROSS_ACCOUNT_WITHOUT_KEY,
                place.path(".roleArn"),
                format!(
                    "`{}` works in account {} on artifacts in the bucket `{}`, which has no `encryptionKey`.",
                    action.name,
                    other.unwrap_or_default(),
                    store.location
                ),
            );
        }
    }
    crossing
}

fn check_stores(declaration: &PipelineDeclaration, found: &mut Findings) {
    for (path, store) in stores(declaration).filter(|(_, store)| store.encryption_key.is_none()) {
        found.add(
            &DEFAULT_ARTIFACT_KEY,
            path,
            format!("artifacts in the bucket `{}` are encrypted with a default key.", store.location),
        );
    }
}

fn check_outputs(declaration: &PipelineDeclaration, found: &mut Findings) {
    let mut read: BTreeSet<&ArtifactName> = BTreeSet::new();
    for (index, stage) in declaration.stages.iter().enumerate() {
        read.extend(stage.actions.iter().flat_map(|action| &action.input_artifacts).map(|input| &input.name));
        for (_, rule) in rules_with_paths(stage, index) {
            read.extend(rule.input_artifacts.iter().map(|input| &input.name));
        }
    }
    for place in places(declaration) {
        let action = place.action;
        // A source must have an output, even if it is there to start the pipeline or to tell a version.
        if action.action_type_id.category == ActionCategory::Source
            && (!["CodeCommit", "GitHub", "CodeStarSourceConnection"]
                .contains(&action.action_type_id.provider.as_str())
                || action
                    .namespace
                    .as_ref()
                    .is_some_and(|namespace| is_asked(declaration, namespace.as_str())))
        {
            continue;
        }
        for (index, output) in action.output_artifacts.iter().enumerate() {
            if !read.contains(&output.name) {
                found.add(
                    &UNREAD_OUTPUT,
                    place.path(&format!(".outputArtifacts[{index}]")),
                    format!("nothing reads `{}`, which `{}` makes.", output.name, action.name),
                );
            }
        }
    }
}

/// Whether any text refers to a namespace.
fn is_asked(declaration: &PipelineDeclaration, namespace: &str) -> bool {
    super::texts::texts(declaration)
        .iter()
        .any(|text| variables::references(text.value).any(|reference| reference.namespace == namespace))
}
