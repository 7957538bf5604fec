// Keep the parts of a page that are marked data-refresh="NAME" up to date: fetch the page again, every few seconds
// while somebody looks at it, and put the server's own markup in the place of the old where it differs.

const SECONDS = 5;

async function refresh() {
  if (document.hidden) return;
  const response = await fetch(location.href, { headers: { "X-Requested-With": "refresh" }, cache: "no-store" });
  if (!response.ok || response.redirected) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of document.querySelectorAll("[data-refresh]")) {
    const update = fresh.querySelector(`[data-refresh="${part.dataset.refresh}"]`);
    const busy = part.contains(document.activeElement) || !getSelection().isCollapsed;
    if (update && !busy && update.innerHTML !== part.innerHTML) part.replaceWith(document.adoptNode(update));
  }
}

function later() {
  setTimeout(() => refresh().catch(() => {}).finally(later), SECONDS * 1000);
}

document.addEventListener("visibilitychange", () => refresh().catch(() => {}));
later();
