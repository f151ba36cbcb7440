//! Pure folds for reading: rows derived from states.
