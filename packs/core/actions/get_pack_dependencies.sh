#!/bin/bash
# core.get_pack_dependencies: what POST /api/v1/packs/dependencies does, as an action.
exec bash "$(dirname "$0")/../lib/call_api.sh" /packs/dependencies
