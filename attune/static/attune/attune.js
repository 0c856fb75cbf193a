// What every page of the admin does: fresh times, asking before it does harm, copying, tabs, live logs.
(function () {
  "use strict";

  // htmx evaluates nothing, and adds neither styles nor scripts: the page's policy would not let them pass.
  Object.assign(window.htmx.config, { allowEval: false, allowScriptTags: false, includeIndicatorStyles: false });

  const units = [[86400, "d"], [3600, "h"], [60, "min"]];

  function span(seconds) {
    if (seconds < 1) return seconds.toFixed(1) + " s";
    for (const [size, unit] of units) {
      if (seconds >= size * 2) return Math.round(seconds / size) + " " + unit;
    }
    return Math.round(seconds) + " s";
  }

  function freshTimes(root) {
    for (const time of root.querySelectorAll("time.at-time")) {
      const at = new Date(time.dateTime);
      const seconds = (Date.now() - at) / 1000;
      time.textContent = seconds < -0.5 ? "in " + span(-seconds) : span(Math.max(0, seconds)) + " ago";
      if (!time.title) time.title = at.toLocaleString();
    }
  }

  function ask(question, label, yes) {
    const dialog = document.createElement("dialog");
    dialog.className = "at-dialog";
    const title = document.createElement("h2");
    title.textContent = label + "?";
    const text = document.createElement("p");
    text.textContent = question;
    const row = document.createElement("div");
    const no = document.createElement("button");
    const go = document.createElement("button");
    no.className = "at-btn";
    no.textContent = "No, go back";
    go.className = "at-btn at-btn-primary";
    go.textContent = label;
    no.addEventListener("click", () => dialog.close());
    go.addEventListener("click", () => { dialog.close(); yes(); });
    dialog.addEventListener("close", () => dialog.remove());
    row.append(no, go);
    dialog.append(title, text, row);
    document.body.append(dialog);
    dialog.showModal();
    go.focus();
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    const question = form.dataset.confirm;
    if (question && !form.dataset.sure) {
      event.preventDefault();
      ask(question, form.dataset.label || "Do it", () => { form.dataset.sure = "1"; form.requestSubmit(); });
    }
  });

  document.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      const from = document.querySelector(copy.dataset.copy);
      const text = from.value === undefined ? from.textContent : from.value;
      navigator.clipboard.writeText(text).then(() => {
        const before = copy.textContent;
        copy.textContent = "Copied";
        setTimeout(() => { copy.textContent = before; }, 1200);
      });
    }
    const opener = event.target.closest("[data-open]");
    if (opener) document.querySelector(opener.dataset.open).showModal();
    const closer = event.target.closest("[data-close]");
    if (closer) closer.closest("dialog").close();
    const example = event.target.closest("[data-fill]");
    if (example) {
      const field = document.querySelector(example.dataset.fill);
      field.value = example.textContent;
      field.focus();
    }
    const tab = event.target.closest("[data-tab]");
    if (tab) choose(tab);
  });

  function choose(tab) {
    const group = tab.closest("[data-tabs]");
    for (const each of group.querySelectorAll("[data-tab]")) {
      const chosen = each === tab;
      each.setAttribute("aria-selected", chosen ? "true" : "false");
      document.getElementById(each.dataset.tab).hidden = !chosen;
    }
    if (group.dataset.tabs === "kept") window.history.replaceState(null, "", "#" + tab.dataset.tab);
  }

  // A tab that an address names: /admin/packs/pack/slack/change/#versions
  function chooseNamed() {
    const name = window.CSS.escape(window.location.hash.slice(1));
    const tab = name && document.querySelector(`[data-tabs="kept"] [data-tab="${name}"]`);
    if (tab) choose(tab);
  }

  function scrollLogs(root) {
    for (const log of root.querySelectorAll(".at-log")) log.scrollTop = log.scrollHeight;
  }

  // What a program printed: texts and the classes that the server gave them.
  function spans(parts) {
    return parts.map(([text, classes]) => {
      const span = document.createElement("span");
      if (classes) span.className = classes;
      span.textContent = text;
      return span;
    });
  }

  // Append what is settled, and put the line that is not over in the place of the former such line.
  function extend(log, told) {
    const open = log.pre.querySelector("[data-open]");
    if (open) open.remove();
    log.pre.append(...spans(told.done));
    if (told.open.length) {
      const now = document.createElement("span");
      now.dataset.open = "";
      now.append(...spans(told.open));
      log.pre.append(now);
    }
    Object.assign(log, { offset: told.offset, style: told.style, seen: told.seen });
  }

  // An execution or installation that is not over: its log, its status and its story, asked for again and again. At its
  // end the page is drawn anew, in its place.
  function follow(page) {
    const logs = {}, parts = {};
    for (const pre of page.querySelectorAll("[data-stream]")) {
      logs[pre.dataset.stream] = { pre, offset: pre.dataset.offset, style: pre.dataset.style, seen: Number(pre.dataset.seen) };
      pre.scrollTop = pre.scrollHeight;
    }
    let pause = 400;
    async function look() {
      const query = new URLSearchParams();
      for (const [name, log] of Object.entries(logs)) {
        query.set(name, log.offset);
        query.set(name + "_style", log.style);
      }
      try {
        const answer = await fetch(page.dataset.tail + "?" + query, { headers: { Accept: "application/json" } });
        if (!answer.ok) throw new Error(answer.statusText);
        const told = await answer.json();
        let more = false;
        for (const [name, log] of Object.entries(logs)) {
          if (told[name].seen <= log.seen) continue;
          more = true;
          const atEnd = log.pre.scrollTop + log.pre.clientHeight >= log.pre.scrollHeight - 40;
          extend(log, told[name]);
          if (atEnd) log.pre.scrollTop = log.pre.scrollHeight;
        }
        const story = document.getElementById("story");
        if (story) story.textContent = told.story;
        for (const [id, text] of Object.entries(told.texts || {})) document.getElementById(id).textContent = text;
        for (const [id, html] of Object.entries(told.parts || {})) {
          if (parts[id] !== html) document.getElementById(id).innerHTML = parts[id] = html;
        }
        if (told.over && !more) {
          window.htmx.ajax("GET", window.location.href, { target: ".at-page", select: ".at-page", swap: "outerHTML" });
          return;
        }
        const mark = document.querySelector("#status .at-badge");
        if (mark) {
          mark.className = "at-badge at-" + told.tone;
          mark.textContent = told.word;
        }
        pause = more ? 300 : Math.min(pause * 1.3, 1500);
      } catch (error) {
        pause = Math.min(pause * 2, 10000);
      }
      setTimeout(look, pause);
    }
    look();
  }

  window.addEventListener("DOMContentLoaded", () => {
    freshTimes(document);
    setInterval(() => freshTimes(document), 1000);
    document.body.addEventListener("htmx:afterSwap", (event) => freshTimes(event.detail.elt));
    document.body.addEventListener("htmx:afterSettle", (event) => { if (event.detail.elt.matches(".at-page")) scrollLogs(event.detail.elt); });
    for (const page of document.querySelectorAll("[data-tail]")) follow(page);
    chooseNamed();
    window.addEventListener("hashchange", chooseNamed);
    scrollLogs(document);
    setInterval(() => {  // while something is wrong, see whether it still is
      const shown = document.querySelector("#condition .at-trouble, #home");
      if (shown && !document.hidden) window.htmx.ajax("GET", window.location.href, { target: "#condition", select: "#condition", swap: "outerHTML" });
    }, 5000);
    const refresh = document.querySelector("[data-refresh]");
    if (refresh) {
      setInterval(() => {
        const busy = document.hidden || document.querySelector("dialog[open]") || window.getSelection().toString();
        if (!busy) window.htmx.ajax("GET", window.location.href, { target: "#" + refresh.id, select: "#" + refresh.id, swap: "outerHTML" });
      }, Number(refresh.dataset.refresh) * 1000);
    }
  });
})();
