#!/bin/sh
# Stops every service and router that deployments of this example started. Data and logs stay.
#
#   ./stop-all.sh [folder]     the folder that holds towpath.toml; default: this script's own
set -u
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/scripts/lib.sh"

base=$(cd "${1:-$here}" && pwd -P) || fail "there is no folder ${1:-$here}"
hosts=$base/.towpath/hosts
stopped=0

for root in "$hosts"/*/*; do
  [ -d "$root" ] || continue
  TOWPATH_HOST=${root#"$hosts/"}
  if [ "$(basename "$root")" = router ]; then
    rm -rf "$root/live"
    end_all "$base/ops/router.js" "$root/var/run/router.pid" && stopped=$((stopped + 1))
  else
    end_all "$root/srv/shop-api/server.js" "$root/var/run/shop-api.pid" && stopped=$((stopped + 1))
    rm -f "$root/var/run/shop-api.port" "$root/var/run/shop-api.release"
  fi
done
echo "stopped: $stopped"
