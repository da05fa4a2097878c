// Before the first paint, so that nobody who chose dark is dazzled: what was chosen, else what the system wants.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try { return localStorage.getItem("riacho.theme"); } catch { return null; }
  };
  const apply = () => {
    const theme = chosen() ?? (system.matches ? "dark" : "light");
    if (root.dataset.theme === theme) return;
    root.dataset.theme = theme;
    dispatchEvent(new Event("themechange"));
  };
  window.riacho = {
    toggleTheme() {
      const other = root.dataset.theme === "dark" ? "light" : "dark";
      // A choice that is the system's own is no choice: the page follows the system again.
      const follows = other === (system.matches ? "dark" : "light");
      try {
        if (follows) localStorage.removeItem("riacho.theme");
        else localStorage.setItem("riacho.theme", other);
        apply();
      } catch {
        root.dataset.theme = other;
        dispatchEvent(new Event("themechange"));
      }
    },
  };
  system.addEventListener("change", apply);
  apply();
})();
