#!/usr/bin/env bash
# From a bare Debian 12 to a running or a tested shmregd: installs what is missing, builds, and runs the
# demo or all tests. Everything built stays in build/ and build-sanitize/ (and, of long tests, other
# build-*/), so a second run is quick.

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"

packages=(
  # to build
  gcc libc6-dev meson ninja-build pkgconf libevent-dev libjansson-dev liblmdb-dev libsystemd-dev
  systemd scdoc python3-dev
  # to test
  check g++ libboost-dev python3 python3-numpy python3-pip python3-setuptools python3-venv python3-wheel strace mount
  procps util-linux dbus libpam-systemd
)

usage() {
  cat <<'EOF'
usage: ./setup.sh run
       ./setup.sh test [--long] [--suite NAME]...
       ./setup.sh help

run   builds shmregd and shows its main job on a private daemon
test  builds twice, plain and with sanitizers, and runs the suites in both (bench and system in the
      plain build only); ends with the line "N passed, N failed, N skipped"

--long        the long forms of fuzzing (with libFuzzer, which comes with clang), fault injection,
              soak and benchmarks; the suite integration a third time, with ThreadSanitizer
--suite NAME  only this suite: unit, integration, system, fault, fuzz or bench

What is missing of Debian's packages is installed first. Several user ids are used: sudo is asked where
the caller is not root. With CI=true warnings are errors and a skipped test is a failure.
EOF
}

fail() {
  printf 'setup.sh: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo -- "$@"
  else
    fail "neither root nor sudo: cannot run $1"
  fi
}

in_ci() {
  [[ ${CI:-} == true ]]
}

is_installed() {
  [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# Debian's, or somebody else's, which is then left alone.
have_node() {
  command -v node >/dev/null && command -v npm >/dev/null &&
    node -e 'process.exit(fs.existsSync(path.resolve(process.execPath, "../../include/node/node_api.h")) ? 0 : 1)'
}

install_packages() {
  local package missing=()

  have_node || packages+=(nodejs libnode-dev npm)
  for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  as_root apt-get update
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --no-install-recommends "${missing[@]}"
}

have_postgresql() {
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null
}

# PostgreSQL is one of the programs that tests run, with clusters of their own; one that is installed is
# taken as it is. With a new one Debian would make and start a cluster, which nobody asked for: for the
# length of its installation it is told not to.
install_test_packages() {
  local drop_in=/etc/postgresql-common/createcluster.d/shmregd-tests.conf

  if have_postgresql; then
    install_packages
    return
  fi
  packages+=(postgresql)
  # In a subshell of its own, so that it is gone also if the installation fails.
  (
    trap 'as_root rm -f "$drop_in"' EXIT
    as_root mkdir -p "${drop_in%/*}"
    as_root tee "$drop_in" >/dev/null <<<'create_main_cluster = false'
    install_packages
  )
}

# Configures a build directory that is not configured yet.
configure() {
  local directory=$1 options=("${@:2}")

  in_ci && options+=(-Dwerror=true)
  if [[ ! -e $directory/build.ninja ]]; then
    meson setup "$directory" "${options[@]}"
  elif in_ci; then
    meson configure "$directory" "${options[@]}"
  fi
}

build() {
  configure "$@"
  ninja -C "$1"
}

# What the examples for Node.js use of others, as client/examples/package-lock.json pins it.
install_node_modules() {
  local modules=build/npm

  cmp -s client/examples/package-lock.json $modules/installed-lock.json && return
  mkdir -p $modules
  cp client/examples/package.json client/examples/package-lock.json $modules
  (cd $modules && npm ci --ignore-scripts --no-audit --no-fund)
  cp client/examples/package-lock.json $modules/installed-lock.json
}

build_plain() {
  build build
}

build_sanitized() {
  build build-sanitize -Db_sanitize=address,undefined
}

build_threads() {
  configure build-threads -Db_sanitize=thread -Ddocs=false
  ninja -C build-threads
}

# ThreadSanitizer of older compilers does not find its memory where the kernel puts programs anywhere; and
# it is slow, so the tests' own deadlines are later.
run_threads() {
  local test_prefix=() test_environment=("${test_environment[@]}" CK_TIMEOUT_MULTIPLIER=5)

  setarch -R true 2>/dev/null && test_prefix=(setarch -R)
  run_tests build-threads "$@"
}

build_libfuzzer() {
  packages+=(clang)
  install_packages
  CC=clang build build-libfuzzer -Dlibfuzzer=true -Db_lundef=false -Ddocs=false \
    -Db_sanitize=address,undefined
}

# Runs suites of a build directory; sets all_passed to false if meson says so. Tests mostly wait, for
# processes and clocks, so there are more of them at a time than processors.
run_tests() {
  local directory=$1 arguments=() suite

  for suite in "${@:2}"; do
    arguments+=(--suite "$suite")
  done
  rm -f "$directory/meson-logs/testlog.json" 2>/dev/null ||
    as_root rm -f "$directory/meson-logs/testlog.json"
  as_root env "${test_environment[@]}" "${test_prefix[@]}" meson test -C "$directory" --no-rebuild \
    --print-errorlogs --num-processes $((2 * $(nproc))) \
    --timeout-multiplier "$timeout_multiplier" "${arguments[@]}" || all_passed=false
  as_root chown -R "$(id -u):$(id -g)" "$directory/meson-logs"
}

# Prints why each skipped test was skipped, and on the last line the counts, from meson's own results.
count_results() {
  python3 - "$@" <<'EOF'
import json, os, sys

kinds = {"OK": 0, "EXPECTEDFAIL": 0, "SKIP": 2}
counts = [0, 0, 0]
for directory in sys.argv[1:]:
    log = os.path.join(directory, "meson-logs", "testlog.json")
    if not os.path.exists(log):
        continue
    for line in open(log, encoding="utf-8"):
        test = json.loads(line)
        kind = kinds.get(test["result"], 1)
        counts[kind] += 1
        if kind == 2:
            output = (test.get("stdout") or "") + (test.get("stderr") or "")
            print(f"skipped in {directory}: {test['name']}: {' '.join(output.split()) or 'no reason given'}")
print(f"{counts[0]} passed, {counts[1]} failed, {counts[2]} skipped")
EOF
}

run_command() {
  (($# == 0)) || { usage >&2; exit 2; }
  install_packages
  build_plain
  client/examples/demo.sh build
}

test_command() {
  local timeout_multiplier=3 test_prefix=() all_passed=true long=false
  local suites=() everywhere=() built=(build) suite results
  local test_environment=(
    "CI=${CI:-}"
    ASAN_OPTIONS=detect_leaks=1:abort_on_error=1:print_summary=1:verify_asan_link_order=0
    UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1
    TSAN_OPTIONS=halt_on_error=1:abort_on_error=1
  )

  while (($#)); do
    case $1 in
      --long) test_environment+=(SHMREG_TEST_LONG=1) timeout_multiplier=20 long=true ;;
      --suite) suites+=("${2:?--suite needs a name}") && shift ;;
      *) usage >&2 && exit 2 ;;
    esac
    shift
  done
  ((${#suites[@]})) || suites=(unit integration system fault fuzz bench)
  for suite in "${suites[@]}"; do
    [[ $suite == bench || $suite == system ]] || everywhere+=("$suite")
  done

  install_test_packages
  build_plain
  install_node_modules
  run_tests build "${suites[@]}"
  if ((${#everywhere[@]})); then
    build_sanitized
    run_tests build-sanitize "${everywhere[@]}"
    built+=(build-sanitize)
  fi
  if $long && [[ " ${suites[*]} " == *" integration "* ]]; then
    build_threads
    run_threads integration threads
    built+=(build-threads)
  fi
  if $long && [[ " ${suites[*]} " == *" fuzz "* ]]; then
    build_libfuzzer
    run_tests build-libfuzzer fuzz
    built+=(build-libfuzzer)
  fi

  results=$(count_results "${built[@]}")
  printf '%s\n' "$results"
  $all_passed && [[ $results == *" 0 failed, "* ]] && { ! in_ci || [[ $results == *" 0 skipped" ]]; }
}

main() {
  local command=${1:-help}

  (($#)) && shift
  case $command in
    run) run_command "$@" ;;
    test) test_command "$@" ;;
    help | --help | -h) usage ;;
    *) usage >&2 && exit 2 ;;
  esac
}

main "$@"
