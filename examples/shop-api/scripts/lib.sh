# Sourced by the other scripts. Knows where things lie on a host, and how to tell and end our own processes.
#
# A host is a folder, CODEDEPLOY_TARGET_ROOT, that stands for its root file system:
#   srv/shop-api/          what the deployment installs
#   var/run/               pid files: a number, trusted only if that process runs our command line
#   var/log/  var/lib/     the service's log, its data; no deployment removes them

STOP_SECONDS=10 # a service gets this long after TERM (it takes at most 8 itself), then KILL
KILL_SECONDS=5
LOG_BYTES_MAX=10485760

say() {
  printf '%s\n' "${TOWPATH_HOST:-this host}: $*"
}

fail() {
  say "$*" >&2
  exit 1
}

# Sets the host's paths. The folder is made if this is its first deployment.
load_host() {
  [ -n "${CODEDEPLOY_TARGET_ROOT:-}" ] || fail "CODEDEPLOY_TARGET_ROOT is not set: it names the folder of the host"
  mkdir -p "$CODEDEPLOY_TARGET_ROOT" || fail "cannot make the folder $CODEDEPLOY_TARGET_ROOT"
  root=$(cd "$CODEDEPLOY_TARGET_ROOT" && pwd -P) || fail "cannot enter $CODEDEPLOY_TARGET_ROOT"
  app=$root/srv/shop-api
  server=$app/server.js
  data=$root/var/lib/shop-api
  pid_file=$root/var/run/shop-api.pid
  port_file=$root/var/run/shop-api.port
  release_file=$root/var/run/shop-api.release
  log=$root/var/log/shop-api.log
  mkdir -p "$root/var/run" "$root/var/log" "$data" || fail "cannot make folders below $root/var"
}

require_node() {
  command -v node >/dev/null 2>&1 || fail "\`node\` is not on the PATH; install Node 18 or newer"
}

# The command line of process $1; empty if there is none, or only its remains (a zombie has no command line).
command_of() {
  if [ -d /proc/self ]; then
    tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline"
  else
    ps -o args= -p "$1" 2>/dev/null
  fi
}

# Does process $1 run the program $2? A pid alone proves nothing: pids are used again.
runs() {
  case "$(command_of "$1" 2>/dev/null) " in
    *" $2 "*) return 0 ;;
    *) return 1 ;;
  esac
}

# Prints the pid in file $1 if that process runs program $2. A file that names anything else is removed.
pid_in() {
  [ -f "$1" ] || return 1
  pid=$(head -n 1 "$1" 2>/dev/null)
  case "$pid" in
    '' | *[!0-9]*) ;;
    *)
      if runs "$pid" "$2"; then
        echo "$pid"
        return 0
      fi
      ;;
  esac
  rm -f "$1"
  return 1
}

# Prints the pids of all processes that run program $1, whether or not a pid file names them.
pids_running() {
  if [ -d /proc/self ]; then
    # One cheap search first: the exact look costs three processes each. It also finds the search itself.
    grep -lsF -e "$1" /proc/[0-9]*/cmdline | while read -r entry; do
      case "$(tr '\0' '\n' 2>/dev/null <"$entry" | head -n 2 | tr '\n' ' ')" in
        *node" $1 "*) entry=${entry#/proc/} && echo "${entry%/cmdline}" ;;
      esac
    done
  else
    ps -Ao pid=,args= | while read -r pid args; do
      case "$args " in *node" $1 "*) echo "$pid" ;; esac
    done
  fi
}

# Ends process $1 if it runs program $2: TERM, a bounded wait, KILL, a bounded wait. Fails if it lives on.
end_process() {
  runs "$1" "$2" || return 0
  kill -TERM "$1" 2>/dev/null
  wait_until_gone "$1" "$2" "$STOP_SECONDS" && return 0
  say "process $1 did not stop within $STOP_SECONDS s; killing it"
  kill -KILL "$1" 2>/dev/null
  wait_until_gone "$1" "$2" "$KILL_SECONDS"
}

wait_until_gone() {
  tenths=$(($3 * 10))
  while runs "$1" "$2"; do
    [ "$tenths" -gt 0 ] || return 1
    tenths=$((tenths - 1))
    sleep 0.1
  done
}

# Ends everything on this host that runs program $1, whose pid file is $2. Prints what it ended.
end_all() {
  found=
  for pid in $(pid_in "$2" "$1") $(pids_running "$1"); do
    case " $found " in *" $pid "*) continue ;; esac
    found="$found $pid"
    end_process "$pid" "$1" || fail "process $pid ($1) cannot be stopped"
    say "stopped process $pid"
  done
  rm -f "$2"
  [ -n "$found" ]
}

# Runs a program in a session of its own, all three standard streams away from the caller, so that the
# caller may end and the program stays. Arguments: pid file, log file, any number of NAME=value, then the
# program and its arguments. It sees those variables, PATH and LANG, and nothing else.
detach() {
  detach_pid_file=$1
  detach_log=$2
  shift 2
  if [ -f "$detach_log" ] && [ "$(wc -c <"$detach_log")" -gt "$LOG_BYTES_MAX" ]; then
    mv -f "$detach_log" "$detach_log.1"
  fi
  # The shell writes its own pid and then becomes the program, so the number is right from the start.
  set -- sh -c '
    exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
    echo $$ >"$1" || exit 1
    shift
    exec env -i "$@"
  ' sh "$detach_pid_file" "PATH=$PATH" "LANG=${LANG:-C.UTF-8}" "$@"
  if command -v setsid >/dev/null 2>&1; then
    set -- setsid "$@"
  fi
  (cd / && exec nohup "$@") </dev/null >>"$detach_log" 2>&1 &
}
