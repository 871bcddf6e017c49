// The trash: choose all of a page, and see how many are chosen. Without it the form works as it is.

const form = document.querySelector("form.trash");

if (form) {
  const picks = [...form.querySelectorAll(".pick")];
  const all = form.querySelector("[data-all]");
  const box = all.querySelector("input");
  const restore = form.querySelector("[data-restore]");
  const text = restore.querySelector("span") ?? restore.lastChild;
  const plain = text.textContent;

  const show = () => {
    const chosen = picks.filter((pick) => pick.checked).length;
    box.checked = chosen === picks.length;
    box.indeterminate = chosen > 0 && chosen < picks.length;
    restore.disabled = chosen === 0;
    text.textContent = chosen ? `Restore ${chosen} selected` : plain;
  };

  all.hidden = false;
  box.addEventListener("change", () => {
    for (const pick of picks) pick.checked = box.checked;
    show();
  });
  form.addEventListener("change", show);
  addEventListener("pageshow", show); // a browser that goes back keeps the ticks
  show();
}
