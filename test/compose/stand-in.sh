#!/bin/sh
# Entrypoint of the stand-in image: what the images of PostgreSQL and Redis do before they serve, as far as docker-compose.yml relies on it.
set -eu
case "${1:-postgres}" in
  postgres)
    PGDATA=/var/lib/postgresql/data
    bin=$(echo /usr/lib/postgresql/*/bin)
    mkdir -p "$PGDATA" /var/run/postgresql
    chown -R postgres: /var/lib/postgresql /var/run/postgresql
    as() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
    if [ ! -e "$PGDATA/PG_VERSION" ]; then
      as "$bin/initdb" -D "$PGDATA" -U "$POSTGRES_USER" --auth-host=scram-sha-256 --auth-local=trust --pwfile="$POSTGRES_PASSWORD_FILE" -E UTF8 --locale=C.UTF-8
      echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
      echo "CREATE DATABASE $POSTGRES_DB" | as "$bin/postgres" --single -D "$PGDATA" postgres
    fi
    exec setpriv --reuid=postgres --regid=postgres --clear-groups "$bin/postgres" -D "$PGDATA" -c 'listen_addresses=*'
    ;;
  redis-server)
    chown -R redis: /data
    cd /data
    exec setpriv --reuid=redis --regid=redis --clear-groups "$@"
    ;;
  *) exec "$@" ;;
esac
