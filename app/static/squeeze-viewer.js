// Original and result under one slider, with zoom: both pictures move together. A native range does the
// keyboard's and the screen reader's part.

const STEPS = [0.25, 0.5, 1, 2, 4, 8];
const NEAR = 24; // how far from the line, in pixels, a pointer still takes hold of it
const STRIDE = 60; // pixels by which a key moves a zoomed picture

export class Viewer {
  constructor(section) {
    this.section = section;
    this.stage = section.querySelector("[data-stage]");
    this.range = section.querySelector("input[type=range]");
    this.before = section.querySelector("[data-before]");
    this.after = section.querySelector("[data-after]");
    this.pointers = new Map();
    this.reset();
    this.listen();
  }

  // What is shown: {before, after: URLs, width, height: the result's pixels, left, right, title: words}.
  show({ before, after, width, height, left, right, title }) {
    const same = this.width === width && this.height === height && this.title === title;
    Object.assign(this, { width, height, title });
    this.section.hidden = false;
    this.before.src = before;
    this.after.src = after;
    this.before.alt = `${title}, ${left}`;
    this.after.alt = `${title}, ${right}`;
    this.section.querySelector("[data-caption-before]").textContent = left;
    this.section.querySelector("[data-caption-after]").textContent = right;
    this.section.querySelector("[data-title]").textContent = title;
    if (!same) this.reset();
    this.draw();
  }

  hide() {
    this.section.hidden = true;
    this.before.removeAttribute("src");
    this.after.removeAttribute("src");
    this.title = undefined;
  }

  reset() {
    this.zoom = 0; // 0: as large as the stage, otherwise screen pixels for each of the result's
    this.centre = [0.5, 0.5]; // the part of the picture in the middle of the stage
  }

  get ratio() {
    return 1 / (window.devicePixelRatio || 1);
  }

  get fit() {
    const { clientWidth, clientHeight } = this.stage;
    return Math.min(clientWidth / this.width, clientHeight / this.height, this.ratio);
  }

  get scale() {
    return this.zoom ? this.zoom * this.ratio : this.fit;
  }

  draw() {
    if (!this.width) return;
    const { clientWidth, clientHeight } = this.stage;
    const { style } = this.stage;
    const scale = this.scale;
    const place = (room, size, at) => {
      const spare = room - size;
      return spare > 0 ? spare / 2 : Math.min(0, Math.max(spare, room / 2 - at * size));
    };
    const left = place(clientWidth, this.width * scale, this.centre[0]);
    const top = place(clientHeight, this.height * scale, this.centre[1]);
    style.setProperty("--width", `${this.width}px`);
    style.setProperty("--height", `${this.height}px`);
    style.setProperty("--left", `${left}px`);
    style.setProperty("--top", `${top}px`);
    style.setProperty("--zoom", scale);
    style.setProperty("--x", `${this.range.value}%`);
    this.corner = [left, top];
    this.range.setAttribute("aria-valuetext", `${this.range.value} % original`);
    this.stage.classList.toggle("zoomed", this.overflows());
    this.stage.classList.toggle("pixels", scale > this.ratio * 1.5);
    this.section.querySelector("[data-scale]").textContent = `${Math.round((100 * scale) / this.ratio)} %`;
    for (const [name, on] of [["fit", !this.zoom], ["pixels", this.zoom === 1]]) {
      this.section.querySelector(`[data-zoom=${name}]`).setAttribute("aria-pressed", String(on));
    }
  }

  overflows() {
    const { clientWidth, clientHeight } = this.stage;
    return this.width * this.scale > clientWidth + 1 || this.height * this.scale > clientHeight + 1;
  }

  // The point of the stage, in pixels, keeps its place in the picture.
  zoomTo(zoom, point = [this.stage.clientWidth / 2, this.stage.clientHeight / 2]) {
    const at = this.partAt(point);
    this.zoom = zoom && Math.min(STEPS.at(-1), Math.max(STEPS[0], zoom));
    this.moveTo(at, point);
  }

  partAt([x, y]) {
    return [
      (x - this.corner[0]) / (this.width * this.scale),
      (y - this.corner[1]) / (this.height * this.scale),
    ];
  }

  moveTo([x, y], [left, top]) {
    const { clientWidth, clientHeight } = this.stage;
    const centred = (part, at, room, size) => {
      const half = Math.min(0.5, room / 2 / size);
      return Math.min(1 - half, Math.max(half, part + (room / 2 - at) / size));
    };
    this.centre = [
      centred(x, left, clientWidth, this.width * this.scale),
      centred(y, top, clientHeight, this.height * this.scale),
    ];
    this.draw();
  }

  move(x, y) {
    const { clientWidth, clientHeight } = this.stage;
    this.moveTo(this.centre, [clientWidth / 2 + x, clientHeight / 2 + y]);
  }

  press(name) {
    const now = this.scale / this.ratio;
    const zooms = {
      fit: 0,
      pixels: 1,
      in: STEPS.find((step) => step > now + 0.01) ?? STEPS.at(-1),
      out: STEPS.findLast((step) => step < now - 0.01) ?? STEPS[0],
    };
    const smallest = this.fit / this.ratio;
    this.zoomTo(name === "out" && zooms.out <= smallest ? 0 : zooms[name]);
  }

  slideTo(x) {
    this.range.value = Math.round((100 * x) / this.stage.clientWidth);
    this.draw();
  }

  listen() {
    this.range.addEventListener("input", () => this.draw());
    this.range.addEventListener("keydown", (event) => this.key(event));
    this.section.addEventListener("click", ({ target }) => {
      const pressed = target.closest("[data-zoom]");
      if (pressed) this.press(pressed.dataset.zoom);
    });
    this.stage.addEventListener("pointerdown", (event) => this.down(event));
    this.stage.addEventListener("pointermove", (event) => this.drag(event));
    for (const name of ["pointerup", "pointercancel"]) {
      this.stage.addEventListener(name, (event) => this.up(event));
    }
    this.stage.addEventListener("dblclick", (event) =>
      this.zoomTo(this.zoom ? 0 : 1, this.point(event)),
    );
    this.stage.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !this.zoom) return; // the page scrolls
        event.preventDefault();
        if (event.ctrlKey) {
          this.zoomTo((this.scale / this.ratio) * Math.exp(-event.deltaY / 200), this.point(event));
        } else this.move(-event.deltaX, -event.deltaY);
      },
      { passive: false },
    );
    new ResizeObserver(() => this.draw()).observe(this.stage);
  }

  key(event) {
    const ways = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const zooms = { "+": "in", "=": "in", "-": "out", 0: "fit", 1: "pixels" };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.shiftKey && ways[event.key]) {
      this.move(...ways[event.key].map((way) => way * STRIDE));
    } else if (zooms[event.key]) this.press(zooms[event.key]);
    else return;
    event.preventDefault();
  }

  point({ clientX, clientY }) {
    const box = this.stage.getBoundingClientRect();
    return [clientX - box.left, clientY - box.top];
  }

  down(event) {
    if (event.button) return;
    const point = this.point(event);
    this.pointers.set(event.pointerId, point);
    this.stage.setPointerCapture(event.pointerId);
    this.range.focus({ preventScroll: true, focusVisible: false });
    const line = (this.stage.clientWidth * this.range.value) / 100;
    this.slides = !this.overflows() || Math.abs(point[0] - line) < NEAR;
    if (this.slides) this.slideTo(point[0]);
    else this.stage.classList.add("moving");
    event.preventDefault();
  }

  drag(event) {
    const last = this.pointers.get(event.pointerId);
    if (!last) return;
    const point = this.point(event);
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId);
    this.pointers.set(event.pointerId, point);
    if (others.length) {
      const [[, other]] = others;
      const apart = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
      const middle = [(point[0] + other[0]) / 2, (point[1] + other[1]) / 2];
      this.zoomTo(((this.scale / this.ratio) * apart(point)) / apart(last), middle);
    } else if (this.slides) this.slideTo(point[0]);
    else this.move(point[0] - last[0], point[1] - last[1]);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    this.stage.classList.remove("moving");
  }
}
