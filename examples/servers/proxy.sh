#!/bin/sh
# Ollama, llama.cpp, TGI, SGLang: nothing can be mounted in them, so a proxy stands before them.
#
#     pip install 'hardening[serve]'
#     examples/servers/proxy.sh http://127.0.0.1:11434 --port 8080
#
# Callers are given port 8080; let nothing but the proxy reach the other one.
set -eu
upstream=${1:?names no model server, such as http://127.0.0.1:11434}
shift
exec hardening serve --upstream "$upstream" --policy "${HARDENING_POLICY-baseline}" "$@"
