# The result of core.http_request. Input: the parameters. $hops: as in http_plan.jq. $head: the header blocks as
# received. $text: the body, if it is text; $base64: the body, if it is not. Exit 9: give the body as base64.

def blocks: split("\r\n") | join("\n") | split("\n\n") | map(select(startswith("HTTP/")));
def headers:
  reduce (.[] | capture("^(?<name>[^:]+):[ \t]*(?<value>.*?)[ \t]*$")) as $line ({};
    ($line.name | ascii_downcase) as $name
    | if $name == "set-cookie" then .[$name] += [$line.value]
      elif has($name) then .[$name] += ", \($line.value)"
      else .[$name] = $line.value end);

. as $params
| (if ($params.method // "" | ascii_upcase) == "HEAD" then "" else $text end) as $text  # curl gives the headers again
| if $base64 == "" and ($text | test("\u0000|\ufffd")) then "" | halt_error(9) else . end
| ($hops | split("\n") | [range(0; length - 1; 4) as $i | .[$i:$i + 4]]) as $answers
| ($head | blocks | last // "" | split("\n") | .[1:] | headers) as $headers
| ($answers | last) as $answer
| ($answer[0] | tonumber) as $status
| ($headers["content-type"] // "" | ascii_downcase) as $type
| (if $base64 != "" then {body: $base64, body_encoding: "base64"}
   elif $text == "" then {body: null, body_encoding: "empty"}
   else
     (if ($type | test("json")) or (($type | test("html") | not) and ($text | test("^\\s*[\\[{]")))
      then try {body: ($text | sub("^\ufeff"; "") | fromjson), body_encoding: "json"}
           catch {body: $text, body_encoding: "text"}
      else {body: $text, body_encoding: "text"} end)
     | if .body_encoding == "json" and ($text | test("[0-9]{16}")) then .body_text = $text else . end
   end) as $body
| ($answer[2] | sub("//[^/?#]*@"; "//")
   | if $params.auth_type == "api_key" and $params.api_key_in == "query"
     then ($params.api_key_name // "X-API-Key" | @uri) as $name
          | split("?") | [.[0]] + (.[1:] | if . == [] then [] else
              [join("?") | split("&") | map(if startswith($name + "=") then $name + "=********" else . end) | join("&")]
            end) | join("?")
     else . end) as $url
| {status_code: $status, success: ($status >= 200 and $status < 300), headers: $headers}
  + $body
  + {url: $url, redirects: ($answers | length - 1),
     elapsed_ms: ($answers | map(.[1] | tonumber) | add * 1000 | floor)}
