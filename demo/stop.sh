#!/usr/bin/env bash
# Ends what demo.sh started and removes its data. Also right where nothing runs.
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"

[ -e "$root/target/demo" ] || exit 0
demo=$(realpath "$root/target/demo")

# end PID_FILE SIGNAL DIRECTORY: a process is ours while it works in our directory; its number alone may be another's by now.
end() {
    local pid
    pid=$(head -n 1 "$1" 2>/dev/null) || return 0
    works_there() { [ "$(readlink "/proc/$pid/cwd")" = "$1" ]; }
    works_there "$3" && kill "-$2" "$pid"
    while works_there "$3"; do sleep 0.05; done
}
end "$demo/data/postmaster.pid" QUIT "$demo/data"
end "$demo/standin.pid" TERM "$demo"
# Its data goes with it, so nothing has to be said goodbye to.
end "$demo/chroma.pid" KILL "$demo"

rm -rf "$(realpath "$demo/socket")" "$demo" "$root/target/demo"
