//! What the Lambda functions share: settings from the environment, the adapters put together, log lines. The
//! functions themselves are in `src/bin`, a few lines of wiring each.
