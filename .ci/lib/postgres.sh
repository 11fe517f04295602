# An ephemeral PostgreSQL for scripts. Sourced: `start_postgres DIRECTORY` sets `postgres_url`, `stop_postgres` ends it.
#
# shellcheck shell=bash

# PostgreSQL refuses to be root: as root, its programs run as the user that its package brings.
as_postgres() {
    if [ "$(id -u)" = 0 ]; then (cd / && exec setpriv --reuid=postgres --regid=postgres --clear-groups "$@"); else "$@"; fi
}

# The directory of PostgreSQL's programs: on PATH, or where Debian keeps them, the newest version first.
postgres_programs() {
    local initdb bin
    {
        command -v initdb || true
        find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -rV
    } | while read -r initdb; do
        bin=$(dirname "$initdb")
        if [ -x "$bin/pg_ctl" ] && [ -x "$bin/createdb" ]; then
            echo "$bin"
            break
        fi
    done
}

start_postgres() {
    local bin
    postgres_directory=$1/postgres
    bin=$(postgres_programs)
    [ -n "$bin" ] || {
        echo "PostgreSQL is not installed" >&2
        return 1
    }
    mkdir -m 755 "$postgres_directory"
    # Its own user must be able to get there.
    chmod a+x "$1"
    if [ "$(id -u)" = 0 ]; then chown postgres "$postgres_directory"; fi
    as_postgres "$bin/initdb" -D "$postgres_directory/data" -U postgres --auth=trust --encoding=UTF8 --no-locale --no-sync >/dev/null
    as_postgres "$bin/pg_ctl" start -w -s -D "$postgres_directory/data" -l "$postgres_directory/log" \
        -o "-k $postgres_directory -c listen_addresses='' -c fsync=off -c full_page_writes=off"
    as_postgres "$bin/createdb" -h "$postgres_directory" -U postgres pulp
    postgres_bin=$bin
    # What sources this reads it.
    # shellcheck disable=SC2034
    postgres_url="postgres://postgres@localhost/pulp?host=$postgres_directory"
}

stop_postgres() {
    [ -z "${postgres_bin:-}" ] || as_postgres "$postgres_bin/pg_ctl" stop -m immediate -s -D "$postgres_directory/data"
}
