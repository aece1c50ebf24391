#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The unit is clean to systemd-analyze, stays under its exposure, and loses neither restart nor watchdog; so are its
# neighbours.
# usage: test_systemd.sh CONFIGURED_UNIT BINDIR_IN_IT FOLDER_OF_SOURCES     exit 0, 1, or 77 without systemd-analyze
# shellcheck disable=SC2317 # functions that only check() calls
set -euo pipefail
unit=$1 bindir=$2 sources=$3
command -v systemd-analyze >/dev/null || { echo "skipped: no systemd-analyze here"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@" >"$tmp/log" 2>&1; then echo "ok   $name"; else echo "FAIL $name"; cat "$tmp/log"; failed=1; fi
}

# verify looks for the program and for the manual pages; stand-ins, since neither is installed yet
mkdir "$tmp/bin" "$tmp/man"
printf '#!/bin/sh\n' >"$tmp/bin/davyd"
chmod +x "$tmp/bin/davyd"
sed -e "s|$bindir/davyd|$tmp/bin/davyd|" -e '/^Documentation=man:/d' "$unit" >"$tmp/davyd.service"

verify_about() { # PATTERN: verify exits 0 on unknown directives, but complains; what other units lack is not ours
    if ! systemd-analyze verify --man=no --recursive-errors=no "$tmp/davyd.service" >"$tmp/verify" 2>&1; then
        cat "$tmp/verify"
        return 1
    fi
    ! grep "$1" "$tmp/verify"
}
verify_catches() { # the same check must see a planted mistake
    cp "$tmp/davyd.service" "$tmp/good"
    sed -i 's/^WatchdogSec=.*/WatchdogSek=30/' "$tmp/davyd.service"
    local result=0
    verify_about 'davyd\.service' && result=1
    cp "$tmp/good" "$tmp/davyd.service"
    return "$result"
}
check "the unit verifies without a complaint" verify_about 'davyd\.service'
check "a misspelt directive would be seen" verify_catches
check "its exposure is at most 2.0" systemd-analyze security --offline=true --threshold=20 "$tmp/davyd.service"
for line in Type=notify WatchdogSec=30 Restart=always StartLimitIntervalSec=0 LimitCORE=0 'ExecReload=.*/davyd --check' \
    'UnsetEnvironment=.*HTTPS_PROXY'; do
    check "the unit says $line" grep -q "^$line" "$unit"
done
# the control socket names its peer, events carry the boot id, the clock's state is read: these would break it
for directive in PrivateUsers=yes ProcSubset=pid ProtectClock=yes RestartPreventExitStatus; do
    check "the unit does not say $directive" bash -c "! grep -q '^$directive' '$unit'"
done
# a network or a time server that is away must not hold up the start
check "the unit waits for no network and no time" bash -c "! grep -Eq '^(After|Wants|Requires)=.*(network-online|time-sync)' '$unit'"
reload_checks_first() { [ "$(grep -n '^ExecReload=' "$unit" | head -1 | grep -c -- --check)" = 1 ]; }
check "reload checks before it signals" reload_checks_first

# the drop-in verifies with every line of it switched on
mkdir "$tmp/davyd.service.d"
sed -E 's/^#([A-Z][A-Za-z]+=)/\1/' "$sources/plant.conf" >"$tmp/davyd.service.d/plant.conf"
sed -i -e '/^LoadCredential/d' "$tmp/davyd.service.d/plant.conf"
check "the drop-in for a plant verifies" verify_about 'plant\.conf'

if command -v systemd-sysusers >/dev/null; then
    mkdir -p "$tmp/root/etc"
    printf 'root:x:0:\ndialout:x:20:\n' >"$tmp/root/etc/group"
    printf 'root:x:0:0::/root:/bin/sh\n' >"$tmp/root/etc/passwd"
    makes_user() {
        systemd-sysusers --root="$tmp/root" "$sources/davy.sysusers" && grep -q '^davy:' "$tmp/root/etc/passwd" &&
            grep -q '^dialout:.*davy' "$tmp/root/etc/group"
    }
    [ "$(id -u)" = 0 ] && check "sysusers makes the user davy, member of dialout" makes_user
fi
exit $failed
