//! Panics, wherever they happen: a task's panic would otherwise vanish with the task.

use std::{cell::RefCell, panic, sync::Once};

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on panics of this program are kept instead of shown.
pub fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let shown = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_ours = std::thread::current().name().is_some_and(|name| name.starts_with(THREAD));
            if !is_ours {
                return shown(info);
            }
            LAST.with(|last| last.borrow_mut().get_or_insert_with(|| info.to_string()).len());
        }));
    });
}

/// How the names of threads begin whose panics are kept.
pub const THREAD: &str = "sim-";

/// The first panic on this thread since the last question.
pub fn take() -> Option<String> {
    LAST.with(|last| last.borrow_mut().take())
}
