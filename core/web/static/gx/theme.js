// Runs before the first paint: light or dark, as chosen or as the system is set.
(function () {
  var chosen = /(?:^|; )gx_theme=(light|dark)/.exec(document.cookie);
  var dark = chosen ? chosen[1] === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  if (dark) document.documentElement.setAttribute("data-bs-theme", "dark");
  else document.documentElement.removeAttribute("data-bs-theme");
})();
