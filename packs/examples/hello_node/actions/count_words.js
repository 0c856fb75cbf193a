// hello_node.count_words: parameters on stdin as JSON, the result on stdout as JSON, trouble on stderr.
"use strict";

const fs = require("node:fs");

/** Count the words of a text; equal counts are named in alphabetical order. */
function countWords(text, top) {
  const words = text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];
  const counts = new Map();
  for (const word of words) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const ranked = [...counts].sort(([a, m], [b, n]) => n - m || a.localeCompare(b));
  return { words: words.length, top: ranked.slice(0, top).map(([word, count]) => ({ word, count })) };
}

const parameters = JSON.parse(fs.readFileSync(0, "utf8") || "{}");
if (typeof parameters.text !== "string") {
  console.error("count_words: text is required");
  process.exit(1);
}
console.log(JSON.stringify(countWords(parameters.text, parameters.top ?? 3)));
