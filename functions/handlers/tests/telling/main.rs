//! Telling the world of what happened: the bus, topics, and people.

mod home;
mod notices;
mod publishing;
mod slack;
