#!/bin/sh
# Puts a host into traffic or takes it out; the `load-balancer` commands in towpath.toml call it.
#
#   ops/load-balancer.sh allow <router port>     TOWPATH_HOST and TOWPATH_HOST_ROOT name the host
#   ops/load-balancer.sh block <router port>
#
# `allow` starts the router if it does not run. The router's folder lies beside those of its hosts.
set -u
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../scripts/lib.sh"
require_node

ANSWER_TENTHS=50

[ $# -eq 2 ] || fail "usage: load-balancer.sh allow|block <router port>"
[ -n "${TOWPATH_HOST:-}" ] && [ -n "${TOWPATH_HOST_ROOT:-}" ] || fail "TOWPATH_HOST and TOWPATH_HOST_ROOT must name the host"
router=$here/router.js
router_port=$2
host_root=$(cd "$TOWPATH_HOST_ROOT" && pwd -P) || fail "the host's folder $TOWPATH_HOST_ROOT does not exist"
folder=$(dirname "$host_root")/router
pid_file=$folder/var/run/router.pid
log=$folder/var/log/router.log
mkdir -p "$folder/live" "$folder/var/run" "$folder/var/log" || fail "cannot make folders below $folder"

start_router() {
  pid_in "$pid_file" "$router" >/dev/null && return 0
  detach "$pid_file" "$log" node "$router" "$folder" "$router_port"
  tenths=$ANSWER_TENTHS
  until answers; do
    if [ "$tenths" -eq 0 ] || [ -f "$pid_file" ] && ! kill -0 "$(cat "$pid_file")" 2>/dev/null; then
      rm -f "$pid_file"
      fail "the router did not start on port $router_port: $(tail -n 1 "$log")"
    fi
    tenths=$((tenths - 1))
    sleep 0.1
  done
  say "started the router on port $router_port, log in $log"
}

answers() {
  pid_in "$pid_file" "$router" >/dev/null && tail -n 1 "$log" | grep -q '"event":"listening"'
}

case "$1" in
  allow)
    port=$(cat "$host_root/var/run/shop-api.port" 2>/dev/null) || fail "the service does not run here: no port is known"
    # A rename, so that the router never reads half a file.
    echo "$port" >"$folder/live/.$TOWPATH_HOST" && mv -f "$folder/live/.$TOWPATH_HOST" "$folder/live/$TOWPATH_HOST" ||
      fail "cannot write below $folder/live"
    start_router
    say "in traffic (port $router_port leads to $port)"
    ;;
  block)
    rm -f "$folder/live/$TOWPATH_HOST"
    say "out of traffic"
    ;;
  *) fail "unknown command \`$1\`: use \`allow\` or \`block\`" ;;
esac
