#!/usr/bin/env bash
# Runs the scripts of a HiveOS package that lie beside it, in a copy inside the folder of the run, as
# processes of the miner with nothing but its rights. Made by `adit driver import-hiveos`.
name='@NAME@'
if [ "${1:-}" = --version ]; then
    echo "adit-run $name @VERSION@"
    exit 0
fi
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$PWD/package
fail() { echo "adit-run: $*"; exit 1; }
rm -rf "$work"
cp -R "$here/package" "$work" && chmod -R u+w "$work" && mkdir -p "$work/log" || fail "cannot copy the package"

# Where HiveOS has a package and its logs is in the run's folder here.
for file in "$work"/*.sh "$work"/*.conf; do
    [ -f "$file" ] || continue
    sed -i "s#/hive/miners/custom/$name#$work#g; s#/var/log/miner#$work/log#g" "$file"
done
cd "$work" || fail "cannot enter $work"

# A free port where the package has the same one for every run of the miner.
api_port='@API_PORT@'
if [ -n "$api_port" ] && [ -n "${ADIT_API_PORT:-}" ]; then
    number="s/(^|[^0-9.])$api_port([^0-9.]|\$)/\\1$ADIT_API_PORT\\2/g"
    # Twice: what stands between two of them belongs to the first.
    find . -type f -size -2048 \( -name '*.sh' -o -name '*.conf' -o -name '*.json' -o -name '*.ini' \
        -o -name '*.cfg' -o -name '*.toml' -o -name '*.yaml' -o -name '*.yml' \) \
        -exec sed -E -i -e "$number" -e "$number" {} + || fail "cannot give the miner its port"
fi
export CUSTOM_URL CUSTOM_TEMPLATE CUSTOM_PASS CUSTOM_ALGO CUSTOM_USER_CONFIG WORKER_NAME
export CUSTOM_MINER=$name MINER_DIR=$work

# shellcheck disable=SC1091
. ./h-manifest.conf
mkdir -p "$(dirname "${CUSTOM_LOG_BASENAME:-$work/log/$name}")" "$(dirname "${CUSTOM_CONFIG_FILENAME:-$work/x}")"
if [ -f h-config.sh ]; then
    (. ./h-config.sh) || fail "h-config.sh ended with $?"
fi

# What h-stats.sh sets, in a shell of its own, with a limit of time.
stats() {
    timeout 8 bash -c '
        . ./h-manifest.conf
        . ./h-stats.sh >&2
        case "$khs" in "" | *[!0-9.]* | *.*.* | .) khs=null ;; esac
        printf "adit-stats {\"khs\":%s,\"stats\":%s}\n" "$khs" "$(printf %s "${stats:-null}" | tr "\r\n\t" "   ")"
    ' 2>/dev/null
}
main=$$
(
    pause=2
    while sleep "$pause" && kill -0 "$main" 2>/dev/null; do
        stats || echo "adit-run: h-stats.sh did not answer within 8 s"
        pause=10
    done
) &
exec bash ./h-run.sh
