// The shell: menus that close, the theme, leaving pages, links to problems.
import { t } from "./core.js";

document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  if (!target) return;
  for (const open of document.querySelectorAll("details[data-drop][open]")) {
    if (!open.contains(target)) open.removeAttribute("open");
  }
  if (target.closest("[data-theme-switch]")) switchTheme();
  if (target.closest("[data-go-back]")) history.back();
  if (target.closest("[data-print]")) print();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = document.querySelector("details[data-drop][open]");
  if (open) {
    open.removeAttribute("open");
    open.querySelector("summary")?.focus();
  }
  if (location.hash === "#nav") {
    location.hash = "#main";
    const opener = document.querySelector("[data-nav-open]");
    if (opener instanceof HTMLElement) opener.focus();
  }
});

function switchTheme() {
  const dark = document.documentElement.getAttribute("data-bs-theme") !== "dark";
  document.cookie = `gx_theme=${dark ? "dark" : "light"}; path=/; max-age=31536000; samesite=lax`;
  if (dark) document.documentElement.setAttribute("data-bs-theme", "dark");
  else document.documentElement.removeAttribute("data-bs-theme");
}

// A page that takes longer than a moment shows that it is on its way.
addEventListener("beforeunload", () => document.body.setAttribute("data-loading", ""));
addEventListener("pageshow", () => document.body.removeAttribute("data-loading"));

for (const form of document.querySelectorAll("form[data-ask]")) {
  form.addEventListener("submit", (event) => {
    if (!confirm(form.getAttribute("data-ask") || t("Are you sure?"))) event.preventDefault();
  });
}
