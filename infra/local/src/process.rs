//! Child processes: own group, output streamed, deadline, nothing left behind.
