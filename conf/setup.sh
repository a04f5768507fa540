# What conf/quickstart, tests/run and their helpers share (bash, to be sourced): the package lists, installing and
# unpacking packages, building into a directory, and telling what failed. Nothing but packages is written outside the
# tree; it knows nothing of what is done with the result.

SLUICE_TREE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)

# To build and run. No package of either list starts a service: those are unpacked instead (tests/peers).
PACKAGES_BUILD=(gcc libc6-dev cmake ninja-build pkg-config
                libevent-dev libssl-dev libconfig-dev libjansson-dev libcap-dev libc-ares-dev zlib1g-dev
                libzstd-dev)
# To test, besides: the second compiler with its run-time libraries, linters, and what the tests drive Sluice with.
PACKAGES_TEST=(clang-14 libclang-rt-14-dev llvm-14 clang-format-14 cppcheck libcmocka-dev python3 python3-pytest python3-fusepy
               ca-certificates chromium curl dnsmasq-base fuse3 iproute2 openssl slowhttptest sslscan testssl.sh tshark valgrind
               wget util-linux zstd)

say() { printf '%s\n' "$*" >&2; }

die() {
    local program
    program=$(cd -- "$(dirname -- "$0")" && pwd)/${0##*/}
    say "${program#"$SLUICE_TREE/"}: $*"
    exit 1
}

# logged LOG COMMAND...: its output goes to LOG, and the end of that is shown where the command fails, or what ninja's
# first failure was.
logged() {
    local log=$1
    shift
    mkdir -p -- "$(dirname -- "$log")"
    "$@" >"$log" 2>&1 </dev/null && return
    say "failed: $*" "(all of it: $log)"
    if grep -q '^FAILED:' -- "$log"; then
        sed -n '/^FAILED:/,$p' -- "$log" | head -n 40 >&2
    else
        tail -n 40 -- "$log" >&2
    fi
    return 1
}

# Prints those of the named packages that are not installed; all of them where there is no dpkg to ask.
packages_missing() {
    local installed name
    installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' -- "$@" 2>/dev/null)
    for name; do
        grep -qxF -- "$name installed" <<<"$installed" || printf '%s\n' "$name"
    done
}

is_debian_12() (
    [[ -r /etc/os-release ]] || return 1
    . /etc/os-release
    [[ $ID == debian && $VERSION_ID == 12 ]]
)

# as_root COMMAND...: as root, or through sudo. 1 where neither is to be had; sudo asks only at a terminal.
as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || { [[ -t 2 ]] && sudo -v; }; }; then
        sudo -n -- "$@"
    else
        return 1
    fi
}

# packages_require NAME...: installs those that are missing, or names them and stops.
packages_require() {
    local missing update_log=$SLUICE_TREE/build/apt-update.log install_log=$SLUICE_TREE/build/apt-install.log
    mapfile -t missing < <(packages_missing "$@")
    ((${#missing[@]})) || return 0
    local list="${missing[*]}"
    is_debian_12 || die "missing packages, by their names in Debian 12: $list" \
        $'\n'"Only on Debian 12 can they be installed from here. Install what corresponds to them; where dpkg does not" \
        $'\n'"know them then, build by hand: cmake -S . -B build && cmake --build build && build/sluice demo"
    as_root true || die "missing packages: $list" \
        $'\n'"Neither root nor sudo is to be had. As root: apt-get install --no-install-recommends $list"
    say "installing: $list"
    packages_update || die "apt-get update failed; missing packages: $list"
    logged "$install_log" as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        --no-remove -o DPkg::Lock::Timeout=300 -- "${missing[@]}" || die "could not install: $list"
}

# Once in a run is enough.
packages_update() {
    [[ -n ${SLUICE_APT_UPDATED-} ]] && return
    logged "$SLUICE_TREE/build/apt-update.log" as_root apt-get update -o DPkg::Lock::Timeout=300 || return
    export SLUICE_APT_UPDATED=1
}

# packages_unpack DIRECTORY NAME...: the files of packages beneath DIRECTORY, without installing anything. Quick when
# it has been done; two at a time do not collide.
packages_unpack() {
    local directory=$1 fetched
    shift
    mkdir -p -- "$directory"
    (
        flock 9
        [[ -f $directory/.unpacked && $(<"$directory/.unpacked") == "$*" ]] && exit
        command -v apt-get >/dev/null || { say "no apt-get to fetch $* with"; exit 1; }
        rm -rf -- "$directory.fetched"
        mkdir -- "$directory.fetched" && cd -- "$directory.fetched" || exit
        say "unpacking: $*"
        # The package lists may be missing or old: then once more.
        apt-get download -- "$@" >"$directory.log" 2>&1 || {
            packages_update && logged "$directory.log" apt-get download -- "$@" || exit
        }
        for fetched in *.deb; do
            dpkg-deb -x "$fetched" "$directory" || exit
        done
        cd .. && rm -rf -- "$directory.fetched" && printf '%s' "$*" >"$directory/.unpacked"
    ) 9>"$directory.lock"
}

# build_configure DIRECTORY [CMAKE OPTION]...: nothing to do without options where it has been done, since building
# configures again as needed; afresh where a copy of another tree brought the directory along. By gcc, unless an option
# names another compiler.
build_configure() {
    local directory=$1 fresh=() generator=(-G Ninja)
    shift
    if [[ -f $directory/CMakeCache.txt ]]; then
        if grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$SLUICE_TREE" "$directory/CMakeCache.txt"; then
            (($#)) || [[ ! -f $directory/build.ninja ]] || return 0
            generator=()
        else
            fresh=(--fresh)
        fi
    fi
    CC=gcc logged "$directory/configure.log" cmake "${fresh[@]}" -S "$SLUICE_TREE" -B "$directory" "${generator[@]}" "$@"
}

# build DIRECTORY TARGET: what changed since the last time.
build() {
    logged "$1/compile.log" cmake --build "$1" --target "$2" --parallel "$(nproc)"
}
