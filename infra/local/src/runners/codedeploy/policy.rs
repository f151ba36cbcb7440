//! How many hosts may be deployed to at a time, and when a deployment has failed.

/// One of the deployment configurations CodeDeploy brings for servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Config {
    AllAtOnce,
    HalfAtATime,
    #[default]
    OneAtATime,
}

/// Where a deployment's hosts stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) waiting: usize,
    pub(super) running: usize,
    pub(super) succeeded: usize,
    pub(super) failed: usize,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Begin with so many more hosts, at least one.
    Start(usize),
    /// Until a running host is done.
    Wait,
    /// Every host is done, and enough succeeded.
    Succeeded,
    /// Too many hosts failed: begin with no more.
    Failed,
}

impl Config {
    /// The names a deployment group may give.
    pub(super) const NAMES: [&str; 3] =
        ["CodeDeployDefault.OneAtATime", "CodeDeployDefault.HalfAtATime", "CodeDeployDefault.AllAtOnce"];

    /// The configuration of a name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let [one, half, all] = Self::NAMES;
        [(one, Self::OneAtATime), (half, Self::HalfAtATime), (all, Self::AllAtOnce)]
            .into_iter()
            .find_map(|(known, config)| (known == name).then_some(config))
    }

    /// Its full name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::OneAtATime => Self::NAMES[0],
            Self::HalfAtATime => Self::NAMES[1],
            Self::AllAtOnce => Self::NAMES[2],
        }
    }

    /// Hosts out of service at a time, of so many.
    fn offline_max(self, total: usize) -> usize {
        match self {
            Self::AllAtOnce => total,
            Self::HalfAtATime => (total / 2).max(1),
            Self::OneAtATime => 1,
        }
    }

    /// Hosts that may fail, of so many, without failing the deployment.
    fn failures_max(self, total: usize) -> usize {
        match self {
            Self::AllAtOnce => total.saturating_sub(1),
            Self::HalfAtATime => total / 2,
            // Only the last one, which `next` knows to be the last by nothing waiting any more.
            Self::OneAtATime => usize::from(total > 1),
        }
    }

    /// Decides on the next step. A failed host counts as out of service, but never so as to end a deployment
    /// whose failures are still within bounds: then the rest goes one by one.
    pub(super) fn next(self, tally: Tally) -> Step {
        let Tally { waiting, running, succeeded, failed } = tally;
        let total = waiting + running + succeeded + failed;
        let last_only = self == Self::OneAtATime && failed > 0 && waiting + running > 0;
        if failed > self.failures_max(total) || last_only {
            return if running > 0 { Step::Wait } else { Step::Failed };
        }
        if waiting == 0 {
            return match (running, succeeded) {
                (1.., _) => Step::Wait,
                (0, 1..) => Step::Succeeded,
                (0, 0) => Step::Failed,
            };
        }
        let room = self.offline_max(total).saturating_sub(failed + running).min(waiting);
        match (room, running) {
            (1.., _) => Step::Start(room),
            (0, 0) => Step::Start(1),
            (0, 1..) => Step::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a deployment of hosts that succeed or fail by the given flags, batch by batch; returns the
    /// verdict, the largest batch, and how many hosts were never begun.
    fn play(config: Config, hosts: &[bool]) -> (Step, usize, usize) {
        let mut tally = Tally { waiting: hosts.len(), ..Tally::default() };
        let (mut begun, mut largest) = (0, 0);
        loop {
            match config.next(tally) {
                Step::Start(count) => {
                    tally.waiting -= count;
                    tally.running += count;
                    begun += count;
                    largest = largest.max(tally.running);
                }
                Step::Wait => {
                    let done = begun - tally.running;
                    tally.running -= 1;
                    if hosts[done] { tally.succeeded += 1 } else { tally.failed += 1 }
                }
                verdict @ (Step::Succeeded | Step::Failed) => return (verdict, largest, tally.waiting),
            }
        }
    }

    fn fails(total: usize, which: &[usize]) -> Vec<bool> {
        (0..total).map(|host| !which.contains(&host)).collect()
    }

    #[test]
    fn half_at_a_time_bears_half_the_hosts_failing_rounded_down() {
        assert_eq!(play(Config::HalfAtATime, &fails(9, &[])), (Step::Succeeded, 4, 0));
        assert_eq!(play(Config::HalfAtATime, &fails(9, &[0, 1, 2, 3])).0, Step::Succeeded);
        assert_eq!(play(Config::HalfAtATime, &fails(9, &[5, 6, 7, 8])).0, Step::Succeeded);
        assert_eq!(play(Config::HalfAtATime, &fails(9, &[1, 3, 4, 7, 8])).0, Step::Failed);
        assert_eq!(play(Config::HalfAtATime, &fails(1, &[])), (Step::Succeeded, 1, 0));
        assert_eq!(play(Config::HalfAtATime, &fails(1, &[0])).0, Step::Failed);
    }

    #[test]
    fn one_at_a_time_bears_a_failure_of_the_last_host_alone() {
        assert_eq!(play(Config::OneAtATime, &fails(3, &[2])), (Step::Succeeded, 1, 0));
        assert_eq!(play(Config::OneAtATime, &fails(3, &[0])), (Step::Failed, 1, 2));
        assert_eq!(play(Config::OneAtATime, &fails(3, &[1])), (Step::Failed, 1, 1));
        assert_eq!(play(Config::OneAtATime, &fails(1, &[0])).0, Step::Failed);
    }

    #[test]
    fn all_at_once_needs_one_success() {
        assert_eq!(play(Config::AllAtOnce, &fails(4, &[0, 1, 3])), (Step::Succeeded, 4, 0));
        assert_eq!(play(Config::AllAtOnce, &fails(4, &[0, 1, 2, 3])).0, Step::Failed);
    }

    #[test]
    fn names_are_the_services_own() {
        for name in Config::NAMES {
            assert_eq!(Config::parse(name).map(Config::name), Some(name));
        }
        assert_eq!(Config::parse("OneAtATime"), None);
    }
}
