#!/bin/sh
# Runs what the Procfile says for web, worker or release; any other command as it is.
command=$(awk -v entry="$1:" '$1 == entry { sub(/^[^ ]+ +/, ""); print }' Procfile)
if [ -n "$command" ]; then exec sh -c "exec $command"; fi
exec "$@"
