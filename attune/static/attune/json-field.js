// A JSON field: the drawn form and the text, the switch between them, and drawing anew when its subject changes.
(function () {
  "use strict";

  function token() {
    return document.querySelector("input[name=csrfmiddlewaretoken]").value;
  }

  class Field {
    constructor(box) {
      this.box = box;
      this.name = box.dataset.name;
      this.mode = box.querySelector("[name='" + this.name + "__mode']");
      this.raw = box.querySelector("[name='" + this.name + "__raw']");
      this.formSide = box.querySelector("[data-side=form]");
      this.rawSide = box.querySelector("[data-side=raw]");
      this.blank = box.querySelector("[data-side=blank]");
      this.said = box.querySelector("[data-said]");
      this.subject = box.dataset.subject;
      for (const tab of box.querySelectorAll("[data-mode]")) {
        tab.addEventListener("click", () => this.turn(tab.dataset.mode));
      }
      this.watch();
    }

    get formId() { return "id_" + this.name + "__form"; }

    get formData() {
      const area = document.getElementById(this.formId);
      return area && area.value ? JSON.parse(area.value) : null;
    }

    watch() {
      const select = this.box.dataset.watches && document.getElementById(this.box.dataset.watches);
      if (!select) return;
      const changed = () => {
        if (select.value !== this.subject) this.ask({ was: this.subject, subject: select.value, to: this.mode.value });
      };
      select.addEventListener("change", changed);
      if (window.django && window.django.jQuery) window.django.jQuery(select).on("change", changed);
    }

    turn(mode) {
      if (mode !== this.mode.value) this.ask({ to: mode });
    }

    async ask(more) {
      const body = {
        source: this.box.dataset.source, subject: this.subject, templates: Boolean(this.box.dataset.templates),
        mode: this.mode.value, raw: this.raw.value, form: this.formData, ...more,
      };
      this.box.classList.add("at-busy");
      this.tell("");
      try {
        const answer = await fetch(this.box.dataset.draw, {
          method: "POST", body: JSON.stringify(body),
          headers: { "Content-Type": "application/json", "X-CSRFToken": token() },
        });
        const state = await answer.json();
        if (!answer.ok) { this.tell(state.message); return; }
        if (more.subject !== undefined) this.subject = more.subject;
        this.show(state);
      } catch (error) {
        this.tell("The server did not answer; try again.");
      } finally {
        this.box.classList.remove("at-busy");
      }
    }

    show(state) {
      this.mode.value = state.mode;
      this.raw.value = state.raw;
      if (state.form !== null) {
        const form = window.reactJsonForm.getFormInstance(this.formId + "_jsonform");
        form.update({ schema: state.drawn, data: state.form });
        document.getElementById(this.formId).value = JSON.stringify(state.form);
      }
      this.box.dataset.blank = state.blank ? "1" : "";
      this.sides();
      this.tell(state.message || "");
      this.box.dispatchEvent(new CustomEvent("at:drawn", { bubbles: true }));
    }

    sides() {
      const raw = this.mode.value === "raw";
      const blank = this.box.dataset.blank === "1";
      this.formSide.hidden = raw || blank;
      this.blank.hidden = raw || !blank;
      this.rawSide.hidden = !raw;
      for (const tab of this.box.querySelectorAll("[data-mode]")) {
        tab.setAttribute("aria-selected", tab.dataset.mode === this.mode.value ? "true" : "false");
      }
      this.blank.textContent = this.subject ? "It takes no parameters." : "Choose it above first.";
    }

    tell(text) {
      this.said.textContent = text;
      this.said.hidden = !text;
    }
  }

  window.addEventListener("DOMContentLoaded", () => {
    for (const box of document.querySelectorAll(".at-json")) new Field(box).sides();
  });
})();
