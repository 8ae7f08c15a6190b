# shellcheck shell=bash
# Sourced after common.sh: a Debian release in a directory, for what must not touch the machine's own packages. Root only.

# make_chroot DIRECTORY RELEASE PACKAGE...: does nothing where that was done before.
make_chroot() {
    local directory=$1 release=$2 log=$1.log
    [ "$(cat "$directory/made" 2>/dev/null)" != "${*:2}" ] || return 0
    [ "$(id -u)" = 0 ] || die "Debian's $release is made in a chroot, and only root can do that"
    need debootstrap "apt-get install debootstrap"

    say "making a chroot of Debian's $release in $directory (2 to 5 minutes); $log tells more"
    rm -rf --one-file-system "$directory"
    mkdir -p "$directory"
    {
        debootstrap --variant=minbase "$release" "$directory"
        sed -i 'p; s|/debian \(.*\) main|/debian-security \1-security main|' "$directory/etc/apt/sources.list"
        # Packages must neither start servers, which would share the machine's network, nor make clusters.
        printf '#!/bin/sh\nexit 101\n' >"$directory/usr/sbin/policy-rc.d"
        chmod 755 "$directory/usr/sbin/policy-rc.d"
        mkdir -p "$directory/etc/postgresql-common"
        echo "create_main_cluster = false" >"$directory/etc/postgresql-common/createcluster.conf"
    } >"$log" 2>&1 || die "debootstrap failed: $(tail -n 3 "$log")"
    if [ $# -gt 2 ]; then
        say "installing ${*:3}"
        in_chroot "$directory" apt-get -q update >>"$log" 2>&1 || true
        in_chroot "$directory" apt-get -q install -y --no-install-recommends "${@:3}" >>"$log" 2>&1 ||
            die "apt-get failed: $(tail -n 3 "$log")"
    fi
    echo "${*:2}" >"$directory/made"
}

# in_chroot [--throw-away] [--bind DIRECTORY[:THERE]]... CHROOT COMMAND...: with the machine's network, certificates and devices,
# and these directories at the same place or THERE. With --throw-away, nothing that it writes into the chroot stays. What is
# mounted is so for the command alone, and goes with it however it ends.
in_chroot() {
    local writes=keep binds=(/proc /dev /sys)
    while [[ $1 == --* ]]; do
        case $1 in
            --throw-away) writes=throw-away && shift ;;
            --bind) binds+=("$2") && shift 2 ;;
            *) die "in_chroot does not know $1" ;;
        esac
    done
    # shellcheck disable=SC2016
    unshare --mount --propagation private -- bash -euc '
        writes=$1 chroot=$2
        shift 2
        if [ "$writes" = throw-away ]; then
            mount -t tmpfs -o mode=755 none /mnt
            mkdir /mnt/{upper,work,root}
            mount -t overlay -o "lowerdir=$chroot,upperdir=/mnt/upper,workdir=/mnt/work" none /mnt/root
            chroot=/mnt/root
        fi
        while [ "$1" != -- ]; do
            mkdir -p "$chroot${1##*:}"
            mount --rbind "${1%%:*}" "$chroot${1##*:}"
            shift
        done
        shift
        cp --dereference /etc/resolv.conf "$chroot/etc/resolv.conf"
        # Copies, since packages write there: what this machine trusts must stay its own affair.
        mkdir -p "$chroot/etc/ssl/certs" "$chroot/usr/local/share/ca-certificates"
        for trusted in /etc/ssl/certs/ca-certificates.crt /usr/local/share/ca-certificates/*.crt; do
            [ ! -e "$trusted" ] || cp --dereference "$trusted" "$chroot$trusted"
        done
        exec env HOME=/root TMPDIR=/tmp chroot "$chroot" "$@"' in_chroot "$writes" "$1" "${binds[@]}" -- "${@:2}"
}
