# Says the secret it was given in the way of a shell.
{ IFS= read -r PARAMETERS; IFS= read -r _; IFS= read -r SECRETS; }
way=$(jq -r .way <<< "$PARAMETERS")
secret=$(jq -r .p <<< "$PARAMETERS")
case "$way" in
  trace) set -x; password="$secret"; true "$password" "user:$password"; [ "$password" = x ] || false ;;
  trace-all) set -x; echo "$SECRETS" | jq -r .own.token; cut -c1-400 <<< "$SECRETS" ;;
  base64) echo "$secret" | base64; printf %s "$secret" | base64 -w0 ;;
  hex) printf %s "$secret" | od -An -tx1 | tr -d ' \n' ;;
  quote) printf '%q\n' "$secret" ;;
  slowly) for ((i = 0; i < ${#secret}; i += 5)); do printf %s "${secret:i:5}"; sleep 0.15; done ;;
  child) (sleep 0.3; echo "$secret"; echo "$secret" >&2) & wait ;;
  fail) echo "cannot log in with $secret" >&2; exit 3 ;;
  nosuch) "./$secret" ;;
esac
