//! Placeholder until the catalogue lands.
/// Minutes.
pub fn timeout_minutes(action_type: &events::ActionTypeId) -> u32 {
    match action_type.category {
        events::ActionCategory::Approval => 10080,
        _ => 60,
    }
}
