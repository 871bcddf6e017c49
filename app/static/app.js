// What pages do beyond plain HTML. Every page works without it.

const say = (button, text) => {
  const before = button.getAttribute("aria-label");
  button.classList.add("said");
  button.setAttribute("aria-label", text);
  setTimeout(() => {
    button.classList.remove("said");
    before === null ? button.removeAttribute("aria-label") : button.setAttribute("aria-label", before);
  }, 2000);
};

const copied = async (button) => {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    say(button, "Copied");
  } catch {
    say(button, "Select the text and copy it");
  }
};

const switchTheme = () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.body.classList.toggle("dark-mode", !dark); // the API playground's own names
  document.body.classList.toggle("light-mode", dark);
  document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
};

const reveal = (button) => {
  const input = document.getElementById(button.dataset.reveal);
  const shown = input.type === "text";
  input.type = shown ? "password" : "text";
  button.setAttribute("aria-pressed", String(!shown));
  input.focus();
};

const showDialog = (dialog) => {
  dialog.showModal();
  dialog.querySelector("input:not([type=hidden]), select, textarea")?.focus();
};

const closeDialog = (dialog) => {
  dialog.close();
  const address = new URL(location.href);
  if (address.searchParams.has("confirm")) {
    address.searchParams.delete("confirm");
    history.replaceState(null, "", address);
  }
};

const pressed = {
  "[data-copy]": copied,
  "[data-theme-switch]": switchTheme,
  "[data-reveal]": reveal,
  "[data-dismiss]": (button) => button.closest(".toast, .banner").remove(),
};

addEventListener("click", (event) => {
  for (const [selector, act] of Object.entries(pressed)) {
    const button = event.target.closest(selector);
    if (button) return act(button);
  }
  const opener = event.target.closest("[data-dialog]");
  const asked = opener && document.getElementById(opener.dataset.dialog);
  if (asked) {
    event.preventDefault();
    opener.closest("details")?.removeAttribute("open");
    return showDialog(asked);
  }
  const closer = event.target.closest("dialog [data-close]");
  if (closer) {
    event.preventDefault();
    return closeDialog(closer.closest("dialog"));
  }
  if (event.target.matches("dialog")) closeDialog(event.target);
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  }
  if (event.key === "/" && !event.target.closest("input, textarea, select, [contenteditable]")) {
    const search = document.querySelector("[type=search]");
    if (search) {
      event.preventDefault();
      search.focus();
    }
  }
});

// A toast goes by itself, but not while it is pointed at or holds the focus.
const leave = (toast) =>
  setTimeout(() => (toast.matches(":hover, :focus-within") ? leave(toast) : toast.remove()), 6000);

const prepare = (root) => {
  for (const hidden of root.querySelectorAll("[data-copy][hidden], [data-reveal][hidden], [data-theme-switch][hidden]"))
    hidden.hidden = false;
  for (const dialog of root.querySelectorAll("dialog[open]:not(:modal)")) {
    dialog.removeAttribute("open");
    showDialog(dialog);
  }
  root.querySelectorAll(".toast").forEach(leave);
  for (const box of root.querySelectorAll(".compare")) {
    const range = box.querySelector("input");
    const move = () => {
      box.style.setProperty("--x", `${range.value}%`);
      range.setAttribute("aria-valuetext", `${range.value} % original`);
    };
    range.addEventListener("input", move);
    move();
  }
};

addEventListener("cancel", (event) => event.target.matches("dialog") && (event.preventDefault(), closeDialog(event.target)), true);
prepare(document);
document.addEventListener("htmx:load", (event) => event.detail.elt !== document.body && prepare(event.detail.elt));
