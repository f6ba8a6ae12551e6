// Before the first paint: the theme that was chosen here earlier, if one was. A classic script, as modules run too late.
{
  let chosen = null;
  try {
    chosen = localStorage.getItem("blogtwin.theme");
  } catch {
    // a browser that keeps nothing shows its own theme
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
