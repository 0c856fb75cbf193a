// __pack__.greet: parameters on stdin as JSON; what is printed is the result, what goes to stderr is for the log.
"use strict";

const fs = require("node:fs");

const { name, greeting = "Hello" } = JSON.parse(fs.readFileSync(0, "utf8"));
if (!name) {
  console.error("greet: there is nobody to greet; give a name");
  process.exit(1);
}
console.log(`${greeting}, ${name}!`);
