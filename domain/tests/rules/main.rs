//! The rules, as sentences. Every command also passes the laws in `domain::testing::laws`.

mod stages;
