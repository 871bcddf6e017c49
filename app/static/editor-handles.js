// Handles on the picture: the frame of a crop, or the place of a watermark, by mouse, finger and
// keyboard.

const CORNERS = {
  "top left": [-1, -1], top: [0, -1], "top right": [1, -1], right: [1, 0],
  "bottom right": [1, 1], bottom: [0, 1], "bottom left": [-1, 1], left: [-1, 0],
};
const SINGLE = { "bottom right": [1, 1] };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const button = (name) => {
  const made = document.createElement("button");
  made.type = "button";
  made.className = name;
  return made;
};

// `subject` gives the step and the size of the picture that is shown, or null where there is nothing
// to move. `move` is called with the step, its values at the start, the sides that move and by how
// many pixels of the true picture; `done` after each movement.
export class Handles {
  constructor(overlay, picture, { subject, move, done }) {
    Object.assign(this, { overlay, picture, subject, move, done });
    this.frame = document.createElement("div");
    this.frame.className = "frame";
    this.body = button("body");
    this.handles = Object.entries(CORNERS).map(([name, [x, y]]) => {
      const handle = button(`handle x${x} y${y}`);
      Object.assign(handle.dataset, { x, y });
      handle.setAttribute("aria-label", `Move the ${name} ${x && y ? "corner" : "edge"}`);
      return [name, handle];
    });
    this.frame.append(this.body, ...this.handles.map(([, handle]) => handle));
    overlay.append(this.frame);
    overlay.addEventListener("pointerdown", (event) => this.#drag(event));
    overlay.addEventListener("keydown", (event) => this.#press(event));
    overlay.addEventListener("keyup", ({ key }) => ARROWS[key] && this.done());
  }

  place() {
    const subject = this.subject();
    this.overlay.hidden = !subject || this.picture.hidden;
    if (this.overlay.hidden) return;
    const { step: { values, kind }, size: [width, height] } = subject;
    this.frame.classList.toggle("crop", kind === "crop");
    this.body.setAttribute("aria-label", kind === "crop" ? "Move the crop" : "Move the watermark");
    for (const [name, handle] of this.handles) handle.hidden = kind !== "crop" && !SINGLE[name];
    const set = (side, share) => this.frame.style.setProperty(side, `${100 * share}%`);
    set("left", values.left / width);
    set("top", values.top / height);
    set("width", values.width / width);
    set("height", values.height / height);
  }

  #drag(event) {
    const grip = event.target.closest("button");
    const subject = this.subject();
    if (!grip || !subject || event.button) return;
    event.preventDefault();
    grip.focus({ preventScroll: true });
    grip.setPointerCapture(event.pointerId);
    const { step, size } = subject;
    const start = { ...step.values };
    const scale = size[0] / (this.picture.getBoundingClientRect().width || 1);
    const [x, y] = [Number(grip.dataset.x ?? 0), Number(grip.dataset.y ?? 0)];
    const follow = ({ clientX, clientY }) =>
      this.move(step, start, x, y, (clientX - event.clientX) * scale, (clientY - event.clientY) * scale);
    grip.addEventListener("pointermove", follow);
    grip.addEventListener(
      "lostpointercapture",
      () => {
        grip.removeEventListener("pointermove", follow);
        this.done();
      },
      { once: true },
    );
  }

  #press(event) {
    const arrow = ARROWS[event.key];
    const subject = this.subject();
    if (!arrow || !subject || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const { x = 0, y = 0 } = event.target.dataset;
    const by = event.shiftKey ? 10 : 1;
    const { step } = subject;
    this.move(step, { ...step.values }, Number(x), Number(y), arrow[0] * by, arrow[1] * by);
  }
}
