//! Every limit of the rules, with its unit in the name and its bound last. The numbers are those of the
//! CodePipeline quotas unless a line says otherwise.

/// Stages of a pipeline, fewest.
pub const STAGES_MIN: usize = 2;
/// Stages of a pipeline, most.
pub const STAGES_MAX: usize = 50;
/// Actions of one stage, most; also those of one run order.
pub const STAGE_ACTIONS_MAX: usize = 50;
/// Actions of one pipeline, most.
pub const PIPELINE_ACTIONS_MAX: usize = 500;
/// Highest run order.
pub const RUN_ORDER_MAX: u16 = 999;

/// Characters of a pipeline's, stage's, action's, rule's or artifact's name, most.
pub const NAME_CHARS_MAX: usize = 100;
/// Characters of a role's ARN, most.
pub const ROLE_ARN_CHARS_MAX: usize = 1024;
/// Characters of a Region's name, fewest.
pub const REGION_CHARS_MIN: usize = 4;
/// Characters of a Region's name, most.
pub const REGION_CHARS_MAX: usize = 30;
/// Characters of a bucket's name, fewest.
pub const BUCKET_NAME_CHARS_MIN: usize = 3;
/// Characters of a bucket's name, most.
pub const BUCKET_NAME_CHARS_MAX: usize = 63;
/// Characters of an encryption key's id, most.
pub const ENCRYPTION_KEY_ID_CHARS_MAX: usize = 400;
/// Characters of a provider's name, most.
pub const PROVIDER_CHARS_MAX: usize = 35;
/// Characters of a type's version, most.
pub const TYPE_VERSION_CHARS_MAX: usize = 9;

/// Characters of a configuration key, most.
pub const CONFIGURATION_KEY_CHARS_MAX: usize = 50;
/// Characters of an action's configuration value, most: what the service enforces, not the 1,000 its pages name.
pub const CONFIGURATION_VALUE_CHARS_MAX: usize = 50_000;
/// Characters of a rule's configuration value, most.
pub const RULE_CONFIGURATION_VALUE_CHARS_MAX: usize = 10_000;
/// Entries of a rule's configuration, most.
pub const RULE_CONFIGURATION_ENTRIES_MAX: usize = 200;
/// Bytes of an action's configuration, keys and values, once references are replaced, most.
pub const RESOLVED_CONFIGURATION_BYTES_MAX: usize = 100 * 1024;
/// Characters of the one configuration value jobs may be queried by, most.
pub const QUERYABLE_VALUE_CHARS_MAX: usize = 20;
/// Characters of a value that a worker asks for jobs by, most; references in it have been replaced by then.
pub const QUERY_VALUE_CHARS_MAX: usize = 50;
/// Configuration properties of a custom action type, most.
pub const CUSTOM_TYPE_PROPERTIES_MAX: usize = 10;

/// Commands of a compute action or rule, most.
pub const COMMANDS_MAX: usize = 50;
/// Characters of one command, most.
pub const COMMAND_CHARS_MAX: usize = 1000;
/// Output variables a compute action may declare, most.
pub const OUTPUT_VARIABLES_MAX: usize = 15;
/// Characters of an output variable's name, most.
pub const OUTPUT_VARIABLE_NAME_CHARS_MAX: usize = 128;
/// Bytes of one action's output variables, names and values together, most.
pub const OUTPUT_VARIABLES_BYTES_MAX: usize = 122_880;
/// Path patterns of one output artifact of a compute action, most.
pub const OUTPUT_FILES_MAX: usize = 10;
/// Characters of one such pattern, most.
pub const OUTPUT_FILE_CHARS_MAX: usize = 128;
/// Environment variables of a compute action, most.
pub const ENVIRONMENT_VARIABLES_MAX: usize = 10;
/// Characters of an environment variable's name, most.
pub const ENVIRONMENT_VARIABLE_NAME_CHARS_MAX: usize = 128;
/// Characters of an environment variable's value, most.
pub const ENVIRONMENT_VARIABLE_VALUE_CHARS_MAX: usize = 2000;

/// Bytes of a CloudFormation action's `ParameterOverrides`, most: looked at by the provider, not on declaration.
pub const PARAMETER_OVERRIDES_BYTES_MAX: usize = 1024;

/// Variables of a pipeline, most.
pub const VARIABLES_MAX: usize = 50;
/// Characters of a pipeline variable's name, most.
pub const VARIABLE_NAME_CHARS_MAX: usize = 128;
/// Characters of a pipeline variable's value, most.
pub const VARIABLE_VALUE_CHARS_MAX: usize = 1000;
/// Characters of a pipeline variable's description, most.
pub const VARIABLE_DESCRIPTION_CHARS_MAX: usize = 200;

/// Triggers of a pipeline, most.
pub const TRIGGERS_MAX: usize = 50;
/// Push filters, or pull request filters, of one trigger, most.
pub const TRIGGER_FILTERS_MAX: usize = 3;
/// Patterns of one include or exclude list, most.
pub const TRIGGER_PATTERNS_MAX: usize = 8;
/// Characters of one such pattern, most.
pub const TRIGGER_PATTERN_CHARS_MAX: usize = 255;
/// Kinds of pull request events of one filter, most.
pub const PULL_REQUEST_EVENTS_MAX: usize = 3;

/// Conditions of one kind on one stage, most and fewest.
pub const CONDITIONS_MAX: usize = 1;
/// Rules of one condition, most.
pub const RULES_MAX: usize = 5;
/// How long a rule of an unknown type may take, minutes.
pub const RULE_TIMEOUT_MINUTES_DEFAULT: u32 = 60;

/// Least `timeoutInMinutes`, minutes.
pub const TIMEOUT_MINUTES_MIN: u32 = 5;
/// Greatest `timeoutInMinutes`, minutes: 60 days.
pub const TIMEOUT_MINUTES_MAX: u32 = 86_400;
/// How long an approval waits unless it says otherwise, minutes: 7 days.
pub const APPROVAL_TIMEOUT_MINUTES_DEFAULT: u32 = 7 * 24 * 60;
/// How long an action of a type without a limit of its own may take, minutes.
pub const ACTION_TIMEOUT_MINUTES_DEFAULT: u32 = 60;
/// How long a custom action may take, minutes.
pub const CUSTOM_ACTION_TIMEOUT_MINUTES: u32 = 24 * 60;
/// How long a job that was handed to a worker is kept for it, milliseconds: not acknowledged by then, it is handed
/// to whoever asks next. Our own number.
pub const JOB_DISPATCH_MS: i64 = 60_000;
/// Jobs handed out by one poll, most. Our own number.
pub const JOB_BATCH_MAX: usize = 50;

/// Pipelines per account and Region, most.
pub const PIPELINES_MAX: usize = 1000;
/// Webhooks per Region, most.
pub const WEBHOOKS_MAX: usize = 300;
/// Filters of a webhook, most.
pub const WEBHOOK_FILTERS_MAX: usize = 5;
/// Characters of a webhook's `SecretToken`, most.
pub const WEBHOOK_SECRET_CHARS_MAX: usize = 100;
/// Characters of the reason why a delivery started nothing, most.
pub const WEBHOOK_REASON_CHARS_MAX: usize = 300;
/// Custom action types per Region, most.
pub const CUSTOM_TYPES_MAX: usize = 50;
/// Executions of one QUEUED or PARALLEL pipeline under way at once, most.
pub const CONCURRENT_EXECUTIONS_MAX: usize = 50;

/// How long an execution may wait at a disabled transition and still go on when it is enabled, days.
pub const DISABLED_TRANSITION_DAYS_MAX: u64 = 30;

/// How long an execution stays in its pipeline's history, and may be rolled back to, days.
pub const HISTORY_DAYS_MAX: u64 = 365;

/// Tags of one resource, most.
pub const TAGS_MAX: usize = 50;
/// Characters of a tag's key, most.
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// Characters of a tag's value, most.
pub const TAG_VALUE_CHARS_MAX: usize = 256;

/// Characters of a failure's message, most.
pub const FAILURE_MESSAGE_CHARS_MAX: usize = 5000;

/// Characters of what a condition says about the rules that stood in its way, most.
pub const CONDITION_SUMMARY_CHARS_MAX: usize = 2048;

/// Bytes of one row of the log, most: DynamoDB's own.
pub const ITEM_BYTES_MAX: usize = 400 * 1024;

const _: () = assert!(STAGES_MIN < STAGES_MAX);
const _: () = assert!(STAGE_ACTIONS_MAX <= PIPELINE_ACTIONS_MAX);
const _: () = assert!(PIPELINE_ACTIONS_MAX <= STAGES_MAX * STAGE_ACTIONS_MAX);
// A stage whose actions all run one after another must find a number for each.
const _: () = assert!(STAGE_ACTIONS_MAX <= RUN_ORDER_MAX as usize);
const _: () = assert!(TIMEOUT_MINUTES_MIN <= APPROVAL_TIMEOUT_MINUTES_DEFAULT);
const _: () = assert!(APPROVAL_TIMEOUT_MINUTES_DEFAULT <= TIMEOUT_MINUTES_MAX);
// One configuration value of the greatest length, four bytes a character, may exceed what an action may get:
// that is found when references are replaced. A value in ASCII must not.
const _: () = assert!(CONFIGURATION_VALUE_CHARS_MAX <= RESOLVED_CONFIGURATION_BYTES_MAX);
const _: () = assert!(RULE_CONFIGURATION_VALUE_CHARS_MAX <= CONFIGURATION_VALUE_CHARS_MAX);
const _: () = assert!(QUERYABLE_VALUE_CHARS_MAX <= QUERY_VALUE_CHARS_MAX);
const _: () = assert!(OUTPUT_VARIABLES_BYTES_MAX < ITEM_BYTES_MAX);
