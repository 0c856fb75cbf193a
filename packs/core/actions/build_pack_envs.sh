#!/bin/bash
# core.build_pack_envs: what POST /api/v1/packs/build-envs does, as an action.
exec bash "$(dirname "$0")/../lib/call_api.sh" /packs/build-envs
