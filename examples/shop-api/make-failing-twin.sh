#!/bin/sh
# Commits a change to a checkout of this example that passes every test and fails on every host.
#
#   ./make-failing-twin.sh [checkout]            commit the mistake; default: this script's own folder
#   ./make-failing-twin.sh --repair [checkout]   commit the line that was forgotten
#
# The change moves the shipping rates into `config/shipping.json`. The build puts that file into the bundle, so
# unit tests, HTTP tests and the test of the bundle pass. But nobody told `appspec.yml` to install it: on a host
# `/health` answers 503, the probe in ValidateService gives up after 15 s, and the deployment is rolled back.
set -eu
here=$(cd "$(dirname "$0")" && pwd -P)

repair=no
if [ "${1:-}" = --repair ]; then
  repair=yes
  shift
fi
cd "${1:-$here}"

if [ ! -f appspec.yml ] || [ ! -f src/shipping.js ]; then
  echo "$(pwd) is not a checkout of this example: appspec.yml or src/shipping.js is missing" >&2
  exit 1
fi
if [ -n "$(git status --porcelain --untracked-files=no)" ]; then
  echo "$(pwd) has changes that are not committed; commit or stash them first" >&2
  exit 1
fi

# A checkout of one's own may have no committer; the example must still work there.
commit() {
  git -c user.name="${GIT_AUTHOR_NAME:-$(git config user.name || echo Shop)}" \
    -c user.email="${GIT_AUTHOR_EMAIL:-$(git config user.email || echo shop@example.com)}" commit --quiet "$@"
}

if [ "$repair" = yes ]; then
  if [ ! -f config/shipping.json ] || grep -q 'source: config$' appspec.yml; then
    echo "there is nothing to repair: the failing change is not here, or is repaired" >&2
    exit 1
  fi
  sed 's|^    destination: /srv/shop-api$|&\
  - source: config\
    destination: /srv/config|' appspec.yml >appspec.yml.new
  cat appspec.yml.new >appspec.yml
  rm appspec.yml.new
  git add appspec.yml
  commit -m "Install the shipping rates with the service"
else
  if [ -f config/shipping.json ]; then
    echo "the failing change is already here" >&2
    exit 1
  fi
  # The patch names paths from the example's folder, which need not be the top of the repository.
  git apply --index --directory="$(git rev-parse --show-prefix)" "$here/failing-twin.patch"
  commit -m "Read the shipping rates from a file" -m "They change more often than the code."
fi
git log -1 --format='%h %s'
