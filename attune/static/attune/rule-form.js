// The rule form's test: events of the trigger to choose from, and the form's contents tried on one as one types.
(function () {
  "use strict";

  window.addEventListener("DOMContentLoaded", () => {
    const form = document.getElementById("rule-form");
    const panel = document.getElementById("test-panel");
    if (!form || !panel) return;
    const trigger = document.getElementById("id_trigger_ref");
    const picker = document.getElementById("test-event");
    const payload = document.getElementById("test-payload");
    const out = document.getElementById("test-outcome");
    let samples = { events: [], sample: "{}" };
    let timer = null;
    let asked = 0;

    function option(value, text) {
      const made = document.createElement("option");
      made.value = value;
      made.textContent = text;
      return made;
    }

    async function load(first) {
      const answer = await fetch(panel.dataset.samples + "?" + new URLSearchParams({ trigger: trigger.value }));
      if (!answer.ok) return;
      samples = await answer.json();
      picker.replaceChildren(option("", "A payload of my own"), ...samples.events.map((e) => option(e.id, "Event " + e.label)));
      const wanted = first && panel.dataset.event;
      if (wanted && samples.events.some((e) => String(e.id) === wanted)) {
        picker.value = wanted;
      } else if (wanted) {
        picker.append(option(wanted, "Event " + wanted));
        picker.value = wanted;
        fields();
        return later();
      } else if (samples.events.length) {
        picker.value = samples.events[0].id;
      }
      fill();
      later();
    }

    // The payload's fields as buttons; one is put where the cursor last was: as a path in criteria, else as a template.
    function fields() {
      const found = [];
      (function walk(value, path, depth) {
        if (found.length >= 40) return;
        if (value !== null && typeof value === "object" && depth < 3) {
          for (const [name, inner] of Object.entries(value)) walk(inner, path ? path + "." + name : name, depth + 1);
        } else if (path) {
          found.push([path, value]);
        }
      })(parsed(), "", 0);
      document.getElementById("test-fields").replaceChildren(...found.map(([path, value]) => {
        const chip = document.createElement("button");
        chip.type = "button";
        chip.textContent = path;
        chip.title = JSON.stringify(value);
        chip.addEventListener("click", () => put(path));
        return chip;
      }));
    }

    function parsed() {
      try { return JSON.parse(payload.value); } catch (error) { return {}; }
    }

    let last = null;
    form.addEventListener("focusin", (event) => {
      if (event.target.matches("textarea, input[type=text]")) last = event.target;
    });

    function put(path) {
      if (!last || !last.isConnected) return;
      const inCriteria = last.closest("[data-name=criteria]");
      const plain = /^[\w.]+$/.test(path) ? path : null;
      const text = inCriteria ? path : "{{ event.payload" + (plain ? "." + path : "['" + path.replaceAll("'", "\\'") + "']") + " }}";
      const replaces = inCriteria && last.name.endsWith("§field");
      const from = replaces ? 0 : last.selectionStart;
      const value = replaces ? text : last.value.slice(0, from) + text + last.value.slice(last.selectionEnd);
      const kind = last.tagName === "TEXTAREA" ? HTMLTextAreaElement : HTMLInputElement;
      Object.getOwnPropertyDescriptor(kind.prototype, "value").set.call(last, value);  // React listens to the event
      last.dispatchEvent(new Event("input", { bubbles: true }));
      last.focus();
      last.setSelectionRange(from + text.length, from + text.length);
    }

    function fill() {
      const event = samples.events.find((e) => String(e.id) === picker.value);
      payload.value = event ? event.payload : samples.sample;
      fields();
    }

    function later() {
      clearTimeout(timer);
      timer = setTimeout(tryIt, 350);
    }

    async function tryIt() {
      const number = ++asked;
      const data = new FormData(form);
      data.set("test_event", picker.value);
      data.set("test_payload", payload.value);
      out.classList.add("at-busy");
      try {
        const answer = await fetch(panel.dataset.try, { method: "POST", body: data });
        const text = await answer.text();
        if (number !== asked) return;
        const page = new DOMParser().parseFromString(text, "text/html");  // escaped by the server; scripts in it never run
        const told = page.getElementById("outcome");
        out.replaceChildren(told ? document.adoptNode(told) : document.createTextNode("The test could not be made; save the rule to see why."));
      } catch (error) {
        out.textContent = "The server did not answer; change something to try again.";
      } finally {
        if (number === asked) out.classList.remove("at-busy");
      }
    }

    form.addEventListener("input", later);
    form.addEventListener("change", later);
    form.addEventListener("at:drawn", later);
    form.addEventListener("click", (event) => { if (event.target.closest(".at-json button")) later(); });
    payload.addEventListener("input", () => { fields(); later(); });
    picker.addEventListener("change", () => { fill(); later(); });
    const changed = () => load(false);
    if (window.django && window.django.jQuery) window.django.jQuery(trigger).on("change", changed);
    else trigger.addEventListener("change", changed);
    for (const example of document.querySelectorAll("[data-example]")) {
      example.addEventListener("click", () => {
        const box = document.querySelector(".at-json[data-name=criteria]");
        const area = box.querySelector("textarea[name=criteria__raw]");
        if (box.querySelector("[name=criteria__mode]").value !== "raw") box.querySelector("[data-mode=raw]").click();
        setTimeout(() => { area.value = example.dataset.example; later(); }, 400);
      });
    }
    load(true);
  });
})();
