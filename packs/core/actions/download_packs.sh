#!/bin/bash
# core.download_packs: what POST /api/v1/packs/download does, as an action.
exec bash "$(dirname "$0")/../lib/call_api.sh" /packs/download
