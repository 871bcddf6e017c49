// What pages do beyond plain HTML. Every page works without it.

// A toast goes by itself, but not while it is pointed at or holds the focus.
const leave = (toast) =>
  setTimeout(() => (toast.matches(":hover, :focus-within") ? leave(toast) : toast.remove()), 6000);

const announce = (text, offer) => {
  const place = document.querySelector(".toasts") ?? document.createElement("div");
  place.className = "toasts";
  document.body.append(place);
  const toast = document.createElement("div");
  toast.className = "toast plain";
  toast.role = "status";
  place.append(toast);
  const said = document.createElement("span");
  said.textContent = text;
  toast.append(said);
  if (offer) toast.append(buttonOf(offer, toast));
  leave(toast);
};

const buttonOf = ({ label, act }, toast) => {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button small";
  button.textContent = label;
  button.addEventListener("click", () => {
    toast.remove();
    act();
  });
  toast.classList.remove("plain");
  return button;
};

// Scripts of single pages say what has happened by this event: new CustomEvent("announce", {detail: text}),
// or {detail: {text, label: "Undo", act: () => …}} with a button.
document.addEventListener("announce", ({ detail }) =>
  typeof detail === "string" ? announce(detail) : announce(detail.text, detail),
);

const copied = async (button) => {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    announce("Copied.");
  } catch {
    announce("The browser does not let us copy. Select the text and copy it.");
  }
};

const switchTheme = () => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const dark = (root.dataset.theme ?? system) === "dark";
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

// A click beside a dialog is one on its backdrop, which counts as the dialog itself.
const isOutside = (dialog, { clientX: x, clientY: y }) => {
  const box = dialog.getBoundingClientRect();
  return x < box.left || x > box.right || y < box.top || y > box.bottom;
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
  if (event.target.matches("dialog") && isOutside(event.target, event)) closeDialog(event.target);
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

// Buttons that would do nothing without this file come hidden.
const SCRIPTED = "[data-copy], [data-reveal], [data-theme-switch]";

const prepare = (root) => {
  for (const button of root.querySelectorAll(SCRIPTED)) button.hidden = false;
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

addEventListener(
  "cancel",
  (event) => {
    if (!event.target.matches("dialog")) return;
    event.preventDefault();
    closeDialog(event.target);
  },
  true,
);
prepare(document);
document.addEventListener("htmx:load", ({ detail }) => {
  if (detail.elt !== document.body) prepare(detail.elt);
});
