// Unfold writes code into attributes. Here Alpine's build for strict policies runs instead: it evaluates no code, reads
// expressions with a parser of its own, and knows no globals. So what Unfold takes from elsewhere gets a name here, and
// the few attributes that are more than an expression are put in such words before Alpine looks at the page.
(function () {
  "use strict";

  const SIDEBAR = "sidebarDesktopOpen";

  function frame() {
    return {
      activeTab: window.getCurrentTab() || "general",
      sidebarMobileOpen: false,
      sidebarDesktopOpen: (localStorage.getItem(SIDEBAR) ?? "1") === "1",
      turnSidebar() {
        this.sidebarDesktopOpen = !this.sidebarDesktopOpen;
        localStorage.setItem(SIDEBAR, this.sidebarDesktopOpen ? "1" : "0");
      },
      sentTo() {
        const tab = this.activeTab && this.activeTab !== "general" ? "#" + this.activeTab : "";
        return window.location.pathname + window.location.search + tab;
      },
    };
  }

  function put(selector, attribute, words) {
    for (const found of document.querySelectorAll(selector)) {
      if (found.hasAttribute(attribute)) found.setAttribute(attribute, words);
    }
  }

  document.addEventListener("alpine:init", () => {
    window.Alpine.data("frame", frame);
    for (const name of ["theme", "searchForm", "searchCommand"]) window.Alpine.data(name, window[name]);
    document.body.removeAttribute("x-init");
    put("body", "x-data", "frame");
    put("form", "x-bind:action", "sentTo()");
    put("[x-on\\:click*=SIDEBAR]".replace("SIDEBAR", SIDEBAR), "x-on:click", "turnSidebar()");
    put("#search-input-command", "x-on:keydown.enter.prevent", "$event.metaKey || $event.ctrlKey || selectItem(true, false)");
  });
})();
