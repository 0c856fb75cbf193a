# Plan the next request of core.http_request: parameters in, curl configuration out.
#
# Input: the parameters. $hops: the answers so far, "status, time, URL, redirect URL" in lines, one group for each.
# Output: a first line "# <body: none|text|json|form> <follow> <fail_on_error> <host>", then one curl option a line.
# Bad parameters end it with a sentence on stderr.
#
# Redirects are planned here and not by curl: curl would repeat a PUT or DELETE after a 303, and would hand custom
# headers (an API key, say) to any host that a redirect names.

def refuse: "http_request: \(.)\n" | halt_error(1);
def given($name): .[$name] != null and .[$name] != "";
def quoted: "\"" + (gsub("\\\\"; "\\\\") | gsub("\""; "\\\"")) + "\"";
def scalar: type == "string" or type == "number" or type == "boolean";

def pairs($what):  # an object as name=value&name=value
  if type != "object" then "\($what) must be an object" | refuse else . end
  | [to_entries[] | .key as $key
     | (.value | if type == "array" then .[] else . end) | select(. != null)
     | if scalar then . else "\($what).\($key) must be a text, number, boolean, or a list of these" | refuse end
     | "\($key | @uri)=\(tostring | @uri)"]
  | join("&");

def header_lines:  # an object as a list of {name, value}
  if type != "object" then "headers must be an object" | refuse else . end
  | [to_entries[] | select(.value != null)
     | if .value | scalar then .value |= tostring else "header \(.key) must be a text" | refuse end
     | if .key | test("^[A-Za-z0-9!#$%&*+.^_`|~-]+$") then . else "\(.key | tojson) is not a header name" | refuse end
     | if .value | test("[\\x00-\\x08\\x0a-\\x1f\\x7f]")
       then "header \(.key) holds a line break or control character, which no header may" | refuse else . end
     | {name: .key, value: .value}];

def has_header($name): any(.[]; .name | ascii_downcase == $name);
def origin:  # {scheme, host}, the host in lower case and with its port
  capture("^(?<scheme>https?)://(?:[^/?#]*@)?(?<host>[^/?#]*)"; "i") | map_values(ascii_downcase)
  | if .host | test(":[0-9]+$") then . else .host += (if .scheme == "https" then ":443" else ":80" end) end;

def checked_url:  # percent-encode what a URL may not hold, drop the fragment
  if test("^https?://[^/?#\\s]"; "i") then . else "url must begin with http:// or https:// and name a host" | refuse end
  | if test("[\\x00-\\x1f\\x7f]") then "url holds a line break or control character" | refuse else . end
  | sub("#.*$"; "")
  | capture("^(?<origin>[^/?]*//[^/?]*)(?<rest>.*)$")
  | if .origin | test("\\s") then "the host in url holds a space" | refuse else . end
  | .origin + ([.rest | explode[] | [.] | implode | if test("^[!-~]$") then . else @uri end] | join(""));

def with_query($query):
  if $query == "" then . elif test("[?&]$") then . + $query
  elif contains("?") then "\(.)&\($query)" else "\(.)?\($query)" end;

def authorization:  # {headers, query} that log in
  (.auth_type // "none") as $type
  | if ($type | IN("none", "basic", "bearer", "api_key")) then .
    else "auth_type \($type | tojson) is not known; use none, basic, bearer or api_key" | refuse end
  | if $type == "none" then
      if given("token") or given("password") or given("api_key_value")
      then "credentials are given but auth_type is none; set auth_type to basic, bearer or api_key" | refuse
      else {headers: {}, query: {}} end
    elif $type == "basic" then
      if (.username // "") | test(":") then "username must not hold a colon" | refuse else . end
      | {headers: {Authorization: ("Basic " + ("\(.username // ""):\(.password // "")" | @base64))}, query: {}}
    elif $type == "bearer" then
      if given("token") then {headers: {Authorization: "Bearer \(.token)"}, query: {}}
      else "auth_type bearer needs token" | refuse end
    else
      if given("api_key_value") then . else "auth_type api_key needs api_key_value" | refuse end
      | {(.api_key_name // "X-API-Key"): .api_key_value} as $pair
      | if .api_key_in == "query" then {headers: {}, query: $pair} else {headers: $pair, query: {}} end
    end;

if type != "object" then "the parameters must be one JSON object" | refuse else . end
| . as $params
| if (.url | type) == "string" and .url != "" then . else "url is required" | refuse end
| ((.method // "GET") | tostring | ascii_upcase) as $method
| if $method | IN("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS") then .
  else "method \($method | tojson) is not known" | refuse end
| (if .timeout == null then 30 else .timeout end) as $timeout
| if ($timeout | type) == "number" and $timeout > 0 then . else "timeout must be a number of seconds above 0" | refuse end
| (if .max_redirects == null then 10 else .max_redirects end) as $max_redirects
| [if .body != null then "body" else empty end, if .json_body != null then "json_body" else empty end,
   if .form != null then "form" else empty end] as $bodies
| if ($bodies | length) > 1 then "only one of \($bodies | join(" and ")) can be sent" | refuse else . end
| (if $bodies == [] then "none" elif $bodies == ["form"] then "form"
   elif $bodies == ["json_body"] or (.body | type) != "string" then "json" else "text" end) as $kind
| if $method == "HEAD" and $kind != "none" then "HEAD cannot carry a body" | refuse else . end
| if $kind == "form" then (.form | pairs("form")) as $checked | . else . end

| authorization as $auth
| ((.headers // {}) | header_lines) as $own
| ($auth.headers | header_lines) as $login
| if any($login[]; (.name | ascii_downcase) as $name | $own | has_header($name))
  then "header \($login[0].name) is given twice: in headers and by auth_type" | refuse else . end
| ([(.query // {} | pairs("query")), ($auth.query | pairs("api key"))] | map(select(. != "")) | join("&")) as $query
| (.url | checked_url | with_query($query)) as $first_url

# Walk through the answers so far: where does the last one point, and with which method?
| ($hops | split("\n") | [range(0; length - 1; 4) as $i | .[$i:$i + 4]]) as $answers
| reduce $answers[] as $answer ({url: $first_url, method: $method};
    {url: $answer[3],
     method: (if $answer[0] == "303" and .method != "HEAD" then "GET"
              elif .method == "POST" and ($answer[0] | IN("301", "302")) then "GET" else .method end)})
| . as $next
| if ($answers | length) > $max_redirects
  then "gave up after \($max_redirects) redirects; raise max_redirects or correct the URL" | refuse else . end
| if .url | test("^https?://"; "i") then . else "the server redirects to something that is not http or https" | refuse end
| ($timeout - ($answers | map(.[1] | tonumber) | add // 0)) as $left
| if $left > 0 then . else "no answer within \($timeout) s (the redirects took too long)" | refuse end
| (($next.url | origin) == ($first_url | origin)) as $at_home
| (if $next.method == $method then $kind else "none" end) as $kind
| (($own | if $at_home then . else
      map(select(.name | ascii_downcase | test("^(accept(-.*)?|content-(type|language)|user-agent|range|if-.*)$"))) end)
   | if $kind == "none" and $answers != [] then map(select(.name | ascii_downcase | startswith("content-") | not))
     else . end) as $own
| (if $at_home then $own + $login else $own end
   | if $kind == "json" and (has_header("content-type") | not)
     then . + [{name: "Content-Type", value: "application/json"}] else . end
   | if $kind == "text" and (has_header("content-type") | not)
     then . + [{name: "Content-Type", value: "text/plain; charset=utf-8"}] else . end
   | if $kind == "none" and ($next.method | IN("POST", "PUT", "PATCH"))
     then . + [{name: "Content-Length", value: "0"}] else . end
   | if has_header("user-agent") then . else . + [{name: "User-Agent", value: "attune-core"}] end
   | if has_header("expect") then . else . + [{name: "Expect", drop: true}] end) as $headers

| "# \($kind) \($params.follow_redirects != false) \($params.fail_on_error == true) \($next.url | origin.host)",
  "url = \($next.url | quoted)",
  (if $next.method == "HEAD" then "head" else "request = \($next.method | quoted)" end),
  ($headers[]
   | "header = " + (if .drop then "\(.name):" elif .value == "" then "\(.name);" else "\(.name): \(.value)" end | quoted)),
  "max-time = \($left)",
  "connect-timeout = \($left)",
  (if $params.verify_ssl == false then "insecure" else empty end)
