# The request body of core.http_request, as it goes over the wire. Input: the parameters; $kind: text, json or form.
def pairs:
  [to_entries[] | .key as $key | (.value | if type == "array" then .[] else . end) | select(. != null)
   | "\($key | @uri)=\(tostring | @uri)"] | join("&");
if $kind == "form" then .form | pairs
elif $kind == "text" then .body
else (if .json_body != null then .json_body else .body end) | tojson end
