#!/bin/sh
# ApplicationStop and BeforeInstall: ends the service that runs on this host, if any. Safe to repeat.
set -u
. "$(dirname "$0")/lib.sh"
load_host

end_all "$server" "$pid_file" || say "the service was not running"
rm -f "$port_file" "$release_file"
