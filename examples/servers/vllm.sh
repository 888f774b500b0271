#!/bin/sh
# vLLM: the middleware is named on the command line and configured by the environment.
#
#     pip install vllm hardening
#     examples/servers/vllm.sh Qwen/Qwen3-8B --reasoning-parser qwen3 --port 8000
#
# HARDENING_POLICY names a preset or a file; `baseline` where it is not set. More than one API server
# (--api-server-count) needs HARDENING_KEY, 32 bytes or more, the same for all.
set -eu
HARDENING_POLICY=${HARDENING_POLICY-baseline}
export HARDENING_POLICY
exec vllm serve "$@" --middleware hardening.HardeningMiddleware
