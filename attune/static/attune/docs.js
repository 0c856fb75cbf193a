// Shows the OpenAPI document to people: operations by tag, each with its parameters, request and answers.
"use strict";

const main = document.getElementById("operations");
const METHODS = ["get", "post", "put", "patch", "delete"];

function element(name, content, className) {
  const made = document.createElement(name);
  if (className) made.className = className;
  for (const part of [content].flat()) made.append(part ?? "");
  return made;
}

// A schema as an example of its shape: {"name": "string", "tags?": ["string"]}. Names of optional fields end in "?".
function shape(api, schema, depth = 0) {
  if (!schema || depth > 6) return "…";
  if (schema.$ref) return shape(api, api.components.schemas[schema.$ref.split("/").pop()], depth + 1);
  const choices = schema.oneOf || schema.anyOf || schema.allOf;
  if (choices) {
    const shapes = choices.map((each) => shape(api, each, depth + 1));
    return shapes.every((each) => typeof each === "string") ? shapes.join(" | ") : shapes[0];
  }
  if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(" | ");
  if (schema.properties) {
    const required = new Set(schema.required || []);
    return Object.fromEntries(Object.entries(schema.properties).map(
      ([name, inner]) => [required.has(name) ? name : `${name}?`, shape(api, inner, depth + 1)]));
  }
  if (schema.type === "array") return [shape(api, schema.items, depth + 1)];
  return [schema.type || "any"].flat().join(" | ") + (schema.format ? ` (${schema.format})` : "");
}

function schemaOf(content) {
  return content && Object.values(content)[0]?.schema;
}

function block(api, schema) {
  return element("pre", JSON.stringify(shape(api, schema), null, 2));
}

function details(api, operation) {
  const body = element("div");
  if (operation.description) body.append(element("p", operation.description));
  if (operation.parameters?.length) {
    const rows = operation.parameters.map((each) => element("tr", [
      element("td", element("code", each.name + (each.required ? "" : "?"))),
      element("td", each.in), element("td", String(shape(api, each.schema))), element("td", each.description),
    ]));
    body.append(element("h3", "Parameters"), element("table", element("tbody", rows)));
  }
  const request = schemaOf(operation.requestBody?.content);
  if (request) body.append(element("h3", "Request"), block(api, request));
  for (const [status, answer] of Object.entries(operation.responses)) {
    body.append(element("h3", `${status} ${answer.description || ""}`));
    const schema = schemaOf(answer.content);
    if (schema && status < "3") body.append(block(api, schema));
  }
  return body;
}

function entry(api, path, method, operation) {
  const made = element("details", element("summary", [
    element("span", method, `method ${method}`), element("code", path), element("span", operation.summary)]));
  made.addEventListener("toggle", () => {
    if (made.open && made.childElementCount === 1) made.append(details(api, operation));
  });
  made.dataset.words = `${method} ${path} ${operation.summary} ${operation.operationId}`.toLowerCase();
  return made;
}

function show(api) {
  document.getElementById("about").textContent = `${api.info.description} Version ${api.info.version}.`;
  const byTag = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((each) => item[each])) {
      const tag = item[method].tags?.[0] || "other";
      if (!byTag.has(tag)) byTag.set(tag, []);
      byTag.get(tag).push(entry(api, path, method, item[method]));
    }
  }
  main.replaceChildren(...[...byTag].sort().map(([tag, entries]) =>
    element("section", [element("h2", tag), ...entries])));
  document.getElementById("find").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/);
    for (const section of main.children) {
      const entries = [...section.querySelectorAll("details")];
      for (const each of entries) each.hidden = !words.every((word) => each.dataset.words.includes(word));
      section.hidden = entries.every((each) => each.hidden);
    }
  });
}

fetch(main.dataset.document)
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`status ${answer.status}`))))
  .then(show)
  .catch((error) => main.replaceChildren(element("p", `The document could not be read: ${error.message}.`)));
