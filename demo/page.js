// What Gradio's own parts leave out: alternative texts, keys for the comparison slider, and
// pictures that are zoomed together. Loaded into the page's head; asks no other server.
(() => {
  const STEP = 0.05;

  function describe(image) {
    if (image.alt) return;
    const block = image.closest(".block");
    const label = block?.querySelector("[data-testid=block-label]")?.innerText.trim();
    if (label) image.alt = label;
  }

  // The handle of a gr.ImageSlider listens to the mouse alone; keys move it as a mouse would.
  function giveKeys(handle) {
    if (handle.tabIndex === 0) return;
    handle.tabIndex = 0;
    handle.setAttribute("role", "slider");
    handle.setAttribute("aria-label", "Border between the two pictures");
    handle.setAttribute("aria-valuenow", "50");
    handle.addEventListener("keydown", (event) => {
      const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!direction) return;
      event.preventDefault();
      const frame = handle.closest(".wrap").getBoundingClientRect();
      const grip = handle.querySelector(".icon-wrap") ?? handle;
      const at = grip.getBoundingClientRect();
      const from = at.left + at.width / 2;
      const to = Math.min(Math.max(from + direction * STEP * frame.width, frame.left), frame.right);
      const mouse = (type, x) =>
        new MouseEvent(type, { clientX: x, clientY: at.top, bubbles: true, view: window });
      handle.dispatchEvent(mouse("mousedown", from));
      window.dispatchEvent(mouse("mousemove", to));
      window.dispatchEvent(mouse("mouseup", to));
      const share = (to - frame.left) / frame.width;
      handle.setAttribute("aria-valuenow", String(Math.round(100 * share)));
    });
  }

  function look(picture, x, y) {
    const group = picture.closest(".picd-zooms");
    group.style.setProperty("--x", `${Math.min(Math.max(x, 0), 100)}%`);
    group.style.setProperty("--y", `${Math.min(Math.max(y, 0), 100)}%`);
  }

  document.addEventListener("pointermove", (event) => {
    const picture = event.target.closest?.(".picd-zooms.zoomed .image-frame, .picd-zooms.zoomed .image-container");
    if (!picture) return;
    const box = picture.getBoundingClientRect();
    look(picture, (100 * (event.clientX - box.left)) / box.width,
      (100 * (event.clientY - box.top)) / box.height);
  });

  document.addEventListener("keydown", (event) => {
    const picture = event.target.closest?.(".picd-zooms .image-container");
    const move = { ArrowLeft: [-5, 0], ArrowRight: [5, 0], ArrowUp: [0, -5], ArrowDown: [0, 5] };
    if (!picture || !move[event.key]) return;
    event.preventDefault();
    const style = getComputedStyle(picture.closest(".picd-zooms"));
    const now = (name) => parseFloat(style.getPropertyValue(name)) || 50;
    look(picture, now("--x") + move[event.key][0], now("--y") + move[event.key][1]);
  });

  // On a phone what a button starts is told below what is in view.
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[id]");
    const status = button && document.getElementById(`${button.id}-status`);
    if (!status) return;
    const top = status.getBoundingClientRect().top;
    if (top < 0 || top > innerHeight / 2) status.scrollIntoView();
  });

  function improve() {
    document.querySelectorAll("img:not([alt]), img[alt='']").forEach(describe);
    document.querySelectorAll("[data-testid=slider]").forEach(giveKeys);
    document.querySelectorAll(".picd-zooms .image-container").forEach((picture) => {
      picture.tabIndex = 0;
    });
  }

  let waiting = false;
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; improve(); });
  }).observe(document, { childList: true, subtree: true });
})();
