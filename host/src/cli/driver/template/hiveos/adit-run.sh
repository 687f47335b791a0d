#!/usr/bin/env bash
# Runs the scripts of the HiveOS package next to it, as processes of the miner and with its rights only.
# Made by `adit driver import-hiveos`.
#
# Each run has its own tree in the run's directory. What HiveOS has at /hive, /var/log, /run/hive
# and /tmp is there below the same names: in the scripts and texts of the run's copy those paths are
# replaced by the tree's. Landlock, set by the keeper, refuses writes anywhere else.
name='@NAME@'
if [ "${1:-}" = --version ]; then
    echo "adit-run $name @VERSION@"
    exit 0
fi
fail() { echo "adit-run: $*"; exit 1; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || fail "cannot find its own directory"
tree=$PWD
case $tree in
    *[!A-Za-z0-9/._+,@=-]*)
        fail "scripts of HiveOS packages cannot run below $tree: move the state directory to a path" \
            "of letters, digits and / . _ - + , @ =" ;;
esac
miners=$tree/hive/miners/custom
work=$miners/$name
mkdir -p "$miners" "$tree"/{run/hive,var/run/hive,var/log/miner,var/tmp,tmp,dev/shm} &&
    cp -R "$here/package" "$work" && chmod -R u+w "$work" || fail "cannot copy the package"
# What this machine has of HiveOS can be read as ever.
for it in /hive/* /hive/miners/*; do
    [ ! -e "$it" ] || [ -e "$tree$it" ] || ln -s "$it" "$tree$it" || fail "cannot link $it"
done
export TMPDIR=$tree/tmp

# The paths that the tree has, where they stand alone: not after a variable or another part of a path,
# and before a / or the end of a word. A word stands for the tree, which may have such a path itself.
paths='(hive|var/log|var/tmp|var/run/hive|run/hive|tmp|dev/shm)'
before='(^|[^A-Za-z0-9_\./})*?~"'\''`]|(^|[^A-Za-z0-9_./})])["'\''`]|(^|[^A-Za-z0-9_])-[A-Za-z])'
rewrite="s#$before/$paths(\$|[^A-Za-z0-9_.-])#\\1__ADIT_TREE__/\\4\\5#g"
# JSON and patterns of sed may write a slash as \/.
escaped=${tree//\//\\\\\/}
escapes="s#(^|[^A-Za-z0-9_./})])\\\\/(hive|var\\\\/log|tmp)\\\\/#\\1$escaped\\\\/\\2\\\\/#g"
# Twice: what stands between two of them belongs to the first.
mapped() { sed -E -e "$rewrite" -e "$rewrite" -e "$escapes" -e "s#__ADIT_TREE__#$tree#g" "$@"; }

mapfile -d '' -t texts < <(find "$work" -type f -size -2048 -exec grep -lIZ . {} +)
[ "${#texts[@]}" -gt 0 ] && mapped -i -- "${texts[@]}" || fail "cannot give the scripts their paths"
cd "$work" || fail "cannot enter $work"

# A free port where the package has the same one for every run of the miner.
api_port='@API_PORT@'
if [ -n "$api_port" ] && [ -n "${ADIT_API_PORT:-}" ]; then
    number="s/(^|[^0-9.])$api_port([^0-9.]|\$)/\\1$ADIT_API_PORT\\2/g"
    find . -type f -size -2048 \( -name '*.sh' -o -name '*.conf' -o -name '*.json' -o -name '*.ini' \
        -o -name '*.cfg' -o -name '*.toml' -o -name '*.yaml' -o -name '*.yml' \) \
        -exec sed -E -i -e "$number" -e "$number" {} + || fail "cannot give the miner its port"
fi

# A path that the manifest puts together of parts is seen in no text, so each script that has read the
# manifest looks at its variables.
cat > "$tree/adit-map.sh" <<'END' || fail "cannot write adit-map.sh"
for adit_it in $(compgen -v); do
    case ${!adit_it-} in
        "$ADIT_TREE"*) ;;
        /hive | /hive/* | /var/log/* | /var/tmp/* | /var/run/hive/* | /run/hive/* | /tmp/* | /dev/shm/*)
            printf -v "$adit_it" %s "$ADIT_TREE${!adit_it}" 2>/dev/null ;;
    esac
done
unset adit_it
END
printf '\n[ -z "${BASH_VERSION:-}" ] || . "$ADIT_TREE/adit-map.sh"\n' >> h-manifest.conf ||
    fail "cannot write h-manifest.conf"
CUSTOM_USER_CONFIG=$(mapped <<< "${CUSTOM_USER_CONFIG:-}") || fail "cannot read the extra configuration"
export CUSTOM_URL CUSTOM_TEMPLATE CUSTOM_PASS CUSTOM_ALGO CUSTOM_USER_CONFIG WORKER_NAME
export CUSTOM_MINER=$name MINER_NAME=custom MINER_DIR=$miners ADIT_TREE=$tree
[ "${ADIT_CONFINED:-0}" = 1 ] || echo "adit-run: this kernel has no Landlock: nothing but its good" \
    "manners keeps the package from writing outside $tree"

# shellcheck disable=SC1091
. ./h-manifest.conf
mkdir -p "$(dirname "${CUSTOM_LOG_BASENAME:-$tree/var/log/miner/$name}")" \
    "$(dirname "${CUSTOM_CONFIG_FILENAME:-$work/x}")"
if [ -f h-config.sh ]; then
    (. ./h-config.sh) || fail "h-config.sh ended with $?"
fi

# Prints what h-stats.sh sets, in another shell and with a limit of time. bc writes .5 and 5., and some
# scripts a list as a text: neither is JSON as it should be.
stats() {
    ADIT_STATS=$ADIT_RUN-$1 timeout -k 1 8 bash -c '
        . ./h-manifest.conf
        . ./h-stats.sh >&2
        khs=${khs//[\" ]/}
        while [[ $khs == 0[0-9]* ]]; do khs=${khs#0}; done
        [[ $khs == .* ]] && khs=0$khs
        khs=${khs%.}
        [[ $khs =~ ^[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$ ]] || khs=null
        stats=$(printf %s "${stats:-null}" | tr "\r\n\t" "   " | sed -E \
            -e "s/\"\[([^]\"]*)\]\"/[\1]/g" \
            -e "s/([,:[] *\"?-?)\.([0-9])/\10.\2/g" -e "s/([0-9])\.(\"? *[],}])/\1\2/g")
        printf "adit-stats {\"khs\":%s,\"stats\":%s}\n" "$khs" "${stats:-null}"
    ' 2>/dev/null
}

# Ends what a call of h-stats.sh left, in whichever session it is: all of it has the run and the call's
# number in its environment.
sweep() {
    local it
    for it in $(grep -lsz "^ADIT_STATS=$ADIT_RUN-$1\$" /proc/[0-9]*/environ); do
        it=${it#/proc/}
        kill -KILL "${it%/environ}" 2>/dev/null
    done
}

# HiveOS cuts logs, so packages only ever append to them.
cut_logs() {
    local blocks file
    find "$tree" -type f \( -path "$tree/var/log/*" -o -name '*.log' \) -size +16384 -printf '%b %p\0' |
        while read -r -d '' blocks file; do
            # A file that is not appended to keeps its length when it is cut, but not its blocks.
            [ "$blocks" -gt 16384 ] || continue
            tail -c 1048576 "$file" > "$tree/tmp/.cut" && cat "$tree/tmp/.cut" > "$file"
            rm -f "$tree/tmp/.cut"
        done
}

# What the run has on disk, in KiB, and the most that it may add.
size() { du -skc "$tree" "$tree/../data" 2>/dev/null | tail -n 1 | grep -oE '^[0-9]+' || echo 0; }
most=$(($(size) + (4 << 20)))

main=$$
(
    while sleep 2 && kill -0 "$main" 2>/dev/null; do
        cut_logs
        [ "$(size)" -gt "$most" ] || continue
        echo "adit-run: the package wrote more than 4 GiB into its directory and was ended"
        kill -KILL "$main"
    done
) &
(
    call=1 pause=2
    while sleep "$pause" && kill -0 "$main" 2>/dev/null; do
        pause=10
        sweep $((call - 1))
        stats "$call"
        case $? in
            0) ;;
            124 | 137) sweep "$call"; echo "adit-run: h-stats.sh did not answer within 8 s" ;;
            *) echo "adit-run: h-stats.sh ended before it set khs and stats" ;;
        esac
        call=$((call + 1))
    done
) &
exec bash ./h-run.sh
