#!/bin/bash
# core.register_packs: what POST /api/v1/packs/register-batch does, as an action.
exec bash "$(dirname "$0")/../lib/call_api.sh" /packs/register-batch
