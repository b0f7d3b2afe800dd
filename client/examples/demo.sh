#!/usr/bin/env bash
# The main job, on a private daemon: share a file's content as a region between users, refuse who has
# no right, reap what a killed process owned, survive the death of the daemon, pass data on from
# language to language. Every step is checked; the exit status is 0 only if all of it happened.
#
# usage: demo.sh BUILD_DIRECTORY

set -euo pipefail

build=$(cd "${1:?usage: demo.sh BUILD_DIRECTORY}" && pwd)
[[ $(id -u) == 0 ]] || exec sudo -- "$0" "$build"

# Four users that need no accounts: the daemon's own, who writes, who reads, who is refused.
readonly daemon_uid=64001 writer_uid=64002 reader_uid=64003 stranger_uid=64004
readonly deadline=10 # seconds that anything awaited may take

examples=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/shmregd-demo.XXXXXX")
export SHMREG_SOCKET=$work/run/client.sock SHMREG_ADMIN_SOCKET=$work/run/admin.sock
export LD_LIBRARY_PATH=$build/client${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
daemon_pid=''
mine=() # processes to be ended with the demo

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
fail() { printf 'demo: FAILED: %s\n' "$*" >&2; exit 1; }
become() { exec setpriv --reuid "$1" --regid "$1" --clear-groups -- "${@:2}"; }
as() { (become "$@"); }
ctl() { "$build/client/ctl/shmregctl" "$@"; }
example() { as "$1" "$build/client/examples/example-$2" "${@:3}"; }

# The segments of this very daemon.
segments() { find /dev/shm -maxdepth 1 -name "shmreg.$instance.*" "$@"; }

# Reads the next line of a descriptor, which must be this one.
expect() {
  local line
  read -r -t $deadline -u "$1" line || fail "nobody said: $2"
  echo "  $line"
  [[ $line == "$2" ]] || fail "expected: $2"
}

# Starts the daemon and returns once it says that it has started.
start_daemon() {
  local line
  printf '{"namespaces": {"demo": {"create": ["user:%s"]}}}\n' $writer_uid >"$work/shmregd.json"
  exec 3< <(become $daemon_uid "$build/daemon/shmregd" --foreground --config="$work/shmregd.json" \
    --runtime-directory="$work/run" --state-directory="$work/state" 2>&1)
  daemon_pid=$!
  while read -r -t $deadline -u 3 line; do
    printf '  %s\n' "$line"
    if [[ $line == *started* ]]; then
      cat <&3 >/dev/null & # so that it can go on writing
      mine+=("$daemon_pid" $!)
      disown
      return
    fi
  done
  fail "the daemon did not start"
}

finish() {
  kill -9 "${mine[@]}" 2>/dev/null || true
  [[ -z ${instance:-} ]] || segments -delete
  rm -rf "$work"
}
trap finish EXIT

# A file of a few MiB that every machine has.
for data in /usr/bin/perl /usr/bin/bash /bin/bash; do [[ -r $data ]] && break; done

install -d -o $daemon_uid -g $daemon_uid "$work/run" "$work/state"
chmod 755 "$work"

say "1. A private daemon, under a user of its own (uid $daemon_uid)"
start_daemon
instance=$(ctl status | awk '/^Instance:/ { print $2 }')

say "2. User $writer_uid, who may create below demo/, creates a region with the content of $data; user $reader_uid may read it"
example $writer_uid share-file demo/program "$data" 0600
as $writer_uid "$build/client/ctl/shmregctl" acl demo/program "+user:$reader_uid:r"

say "3. User $reader_uid maps it read-only and verifies it"
example $reader_uid check-file demo/program "$data" || fail "the reader saw something else"

say "4. User $stranger_uid is refused, with the reason"
if example $stranger_uid check-file demo/program "$data" 2>"$work/refusal"; then
  fail "the stranger was let in"
fi
cat "$work/refusal"
grep -q "lacks the right 'r' to region 'demo/program'" "$work/refusal" || fail "another reason"

say "5. A process of user $writer_uid owns a region, another goes on reading; the operator's view"
exec 6< <(become $writer_uid "$build/client/examples/example-own-region" demo/owned)
owner_pid=$!
mine+=("$owner_pid")
read -r -t $deadline -u 6 line || fail "no owner"
echo "$line"
exec 4< <(become $reader_uid "$build/client/examples/example-check-file" --keep \
  demo/program "$data" 2>&1)
reader_pid=$!
mine+=("$reader_pid")
read -r -t $deadline -u 4 line || fail "no reader"
echo; ctl list
echo; ctl show demo/program
echo; ctl clients

say "6. The owner is killed with SIGKILL: its region goes with it"
exec 5< <(exec "$build/client/ctl/shmregctl" --json monitor)
monitor_pid=$!
mine+=("$monitor_pid")
read -r -t $deadline -u 5 event || fail "no events" # the first: subscribed
kill -9 "$owner_pid"
killed=${EPOCHREALTIME/./}
until [[ ${event:-} == *reaped* && $event == *demo/owned* ]]; do
  read -r -t $deadline -u 5 event || fail "demo/owned is still there"
done
echo "$event"
echo "reaped $((${EPOCHREALTIME/./} - killed)) microseconds after the kill"
kill "$monitor_pid"
if ctl show demo/owned 2>/dev/null; then fail "demo/owned is still listed"; fi

say "7. The daemon is killed with SIGKILL and started again, while the reader keeps reading"
kill -9 "$daemon_pid"
kill -0 "$reader_pid" || fail "the reader died with the daemon"
start_daemon
ctl list

say "8. Everything is still there: the reader's mapping, its connection, the region's content"
kill -TERM "$reader_pid"
read -r -t $deadline -u 4 line || fail "the reader did not finish"
echo "$line"
[[ $line == *"without a difference"*"has 1 reader(s)" ]] || fail "the reader lost something"
example $reader_uid check-file demo/program "$data" || fail "the content changed"
ctl get demo/program | cmp - "$data" || fail "the operator sees other content"
ctl destroy demo/program

say "9. Python writes prices, C averages them, Node.js reads the averages; each sleeps until notified"
export PYTHONPATH=$build/client/python PYTHONDONTWRITEBYTECODE=1 NODE_PATH=$build/client/node_modules
mkfifo "$work/prices"
exec 7< <(become $writer_uid /usr/bin/python3 "$examples/write-prices.py" demo/prices \
  <"$work/prices" 2>&1)
python_pid=$!
exec 8>"$work/prices"
echo 1 2 3 >&8
expect 7 "demo/prices: version 1, 3 prices"
exec 9< <(become $writer_uid "$build/client/examples/example-average-prices" \
  demo/prices demo/averages 2>&1)
mine+=("$python_pid" $!)
expect 9 "demo/averages: version 1, 3 averages"
exec {node_output}< <(become $reader_uid node "$examples/print-prices.js" demo/averages 2>&1)
mine+=($!)
expect "$node_output" "demo/averages: version 1, 3 numbers, the highest 2"
echo 4 8 12 16 >&8
expect 7 "demo/prices: version 2, 4 prices"
expect 9 "demo/averages: version 2, 4 averages"
expect "$node_output" "demo/averages: version 2, 4 numbers, the highest 10"

say "10. The Python process is killed with SIGKILL: its region goes, and who slept on it is told"
kill -9 "$python_pid"
expect 9 "demo/prices has ended"
expect "$node_output" "demo/averages has ended"
[[ -z $(segments) ]] || fail "something is left in /dev/shm: $(segments)"

say "All of it happened."
