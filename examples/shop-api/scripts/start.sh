#!/bin/sh
# AfterInstall and ApplicationStart: starts the installed release and waits until it answers. Safe to repeat:
# if this very release runs already, nothing happens.
set -u
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"
load_host
require_node

ANSWER_SECONDS=10

[ -n "${PORT:-}" ] || fail "PORT is not set: give the host one (\`environment\` of the host in towpath.toml)"
[ -f "$server" ] || fail "$server is missing: the Install event has not run"

if pid=$(pid_in "$pid_file" "$server"); then
  if cmp -s "$release_file" "$app/release.json" && [ "$(cat "$port_file" 2>/dev/null)" = "$PORT" ]; then
    say "process $pid already runs this release on port $PORT"
    exit 0
  fi
  say "process $pid runs another release; replacing it"
fi
end_all "$server" "$pid_file"

cp "$app/release.json" "$release_file" && echo "$PORT" >"$port_file" || fail "cannot write below $root/var/run"
detach "$pid_file" "$log" "DATA_DIR=$data" "HOST=127.0.0.1" "PORT=$PORT" node "$server"

if ! node "$here/probe.cjs" --port "$PORT" --pid-file "$pid_file" --within "$ANSWER_SECONDS" --any-answer; then
  say "the service did not start; the end of $log:" >&2
  tail -n 5 "$log" >&2
  end_all "$server" "$pid_file"
  rm -f "$port_file" "$release_file"
  exit 1
fi
say "started process $(cat "$pid_file") on port $PORT, log in $log"
