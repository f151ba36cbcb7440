//! A log in memory, with the real contract: for tests and simulation.
