// The steps of the editor as plain values: what each begins with, what the API takes, and what a
// change of one value does to the others. Nothing here touches the page.

export const clamp = (value, least, most) => Math.min(Math.max(value, least), Math.max(least, most));
export const whole = (value) => Math.round(value);
export const LARGEST = 10_000; // pixels a side, as the API has it

export const TITLES = {
  crop: "Crop", rotate: "Rotate", mirror: "Mirror", resize: "Resize", blur: "Blur",
  modulate: "Colours", watermark: "Watermark", convert: "Convert",
};
const colour = (value, clear) => (clear ? "transparent" : value);

// For each kind: its first values, given the size it starts from; the operation as the API takes it,
// or null while it is not complete; what it says in the list.
export const KINDS = {
  crop: {
    first: ([width, height], original) => ({ ratio: "free", original, left: 0, top: 0, width, height }),
    operation: (v) => ({ x1: v.left, y1: v.top, x2: v.left + v.width, y2: v.top + v.height }),
    says: (v) => `${v.width} × ${v.height}`,
  },
  rotate: {
    first: () => ({ quarter: 0, fine: 0, background: "#000000", background_clear: false }),
    operation: (v) => ({
      angle: angleOf(v),
      ...(v.fine ? { background_color: colour(v.background, v.background_clear) } : {}),
    }),
    says: (v) => `${angleOf(v)}°`,
  },
  mirror: {
    first: () => ({ mode: "horizontal" }),
    operation: (v) => ({ mode: v.mode }),
    says: (v) => ({ horizontal: "left ↔ right", vertical: "top ↕ bottom", both: "both" })[v.mode],
  },
  resize: {
    first: ([width, height]) => ({
      width, height, lock: true, by: "width", fit: "fill", position: "center",
      letterbox: "#000000", letterbox_clear: false,
    }),
    operation: (v) => {
      if (v.lock) return { [v.by]: v[v.by] };
      const fitted = v.fit === "fill" ? {} : { fit: v.fit, position: v.position };
      if (v.fit === "contain") fitted.letterbox_color = colour(v.letterbox, v.letterbox_clear);
      return { width: v.width, height: v.height, ...fitted };
    },
    says: (v) => `${v.width} × ${v.height}`,
  },
  blur: {
    first: () => ({ sigma: 5 }),
    operation: (v) => ({ sigma: v.sigma }),
    says: (v) => `${v.sigma} px`,
  },
  modulate: {
    first: () => ({ brightness: 1, saturation: 1, hue: 0, lightness: 0 }),
    operation: (v) => ({ ...v }),
    says: (v) => `${v.brightness} · ${v.saturation} · ${v.hue}° · ${v.lightness}`,
  },
  watermark: {
    first: () => ({ mark: null, left: 0, top: 0, width: 0, height: 0, lock: true, repeat: "no_repeat" }),
    operation: (v) => v.mark && {
      watermarks: [{
        id: v.mark.id, left: v.left, top: v.top, width: v.width, height: v.height,
        ...(v.repeat === "no_repeat" ? {} : { repetition_mode: v.repeat }),
      }],
    },
    says: (v) => (v.mark ? v.mark.name : "no image yet"),
  },
  convert: {
    first: () => ({ format: "webp", by_hand: false, quality: 80 }),
    operation: (v) => ({ format: v.format, ...(v.by_hand ? { quality: v.quality } : {}) }),
    says: (v) => (v.by_hand ? `${v.format.toUpperCase()} · ${v.quality}` : v.format.toUpperCase()),
  },
};
const angleOf = (v) => whole(((((v.quarter * 90 + v.fine) % 360) + 360) % 360) * 10) / 10;

// As Python rounds: halves to the even one.
const rounded = (value) => {
  const down = Math.floor(value);
  if (value - down === 0.5) return Math.max(1, down % 2 ? down + 1 : down);
  return Math.max(1, Math.round(value));
};

// The size in pixels that a step makes of one, before the server has told it.
export const sizeAfter = ({ kind, values }, [width, height]) => {
  if (kind === "crop") return [values.width, values.height];
  if (kind === "resize") {
    if (!values.lock) return [values.width, values.height];
    const scale = values.by === "height" ? values.height / height : values.width / width;
    const size = [rounded(width * scale), rounded(height * scale)];
    size[values.by === "height" ? 1 : 0] = values[values.by];
    return size;
  }
  if (kind !== "rotate") return [width, height];
  if (!values.fine) return values.quarter % 2 ? [height, width] : [width, height];
  const turn = (angleOf(values) * Math.PI) / 180;
  const [cos, sin] = [Math.abs(Math.cos(turn)), Math.abs(Math.sin(turn))];
  return [Math.ceil(width * cos + height * sin - 1e-6), Math.ceil(width * sin + height * cos - 1e-6)];
};

const ratioOf = ({ ratio: text, original }) => {
  if (text === "free") return null;
  if (text === "original") return original;
  const [across, down] = text.split(":").map(Number);
  return across / down;
};

// A crop inside the picture, with its ratio; `by` is the side that was set.
const cropped = (values, [width, height], by = "width") => {
  const ratio = ratioOf(values);
  values.left = clamp(whole(values.left), 0, width - 1);
  values.top = clamp(whole(values.top), 0, height - 1);
  values.width = clamp(whole(values.width), 1, width - values.left);
  values.height = clamp(whole(values.height), 1, height - values.top);
  if (!ratio) return;
  if (by === "height") values.width = clamp(whole(values.height * ratio), 1, width - values.left);
  values.height = clamp(whole(values.width / ratio), 1, height - values.top);
  values.width = clamp(whole(values.height * ratio), 1, width - values.left);
};

// Set one value of a step that gets a picture of this size.
export const apply = (step, name, value, size) => {
  const { values, kind } = step;
  values[name] = value;
  if (kind === "crop") {
    if (name === "ratio" && value !== "free") {
      // As large as it fits around the same middle.
      const ratio = ratioOf(values);
      const [x, y] = [values.left + values.width / 2, values.top + values.height / 2];
      const across = Math.min(size[0], size[1] * ratio, Math.max(values.width, values.height * ratio));
      values.width = across;
      values.height = across / ratio;
      values.left = clamp(x - values.width / 2, 0, size[0] - values.width);
      values.top = clamp(y - values.height / 2, 0, size[1] - values.height);
    }
    cropped(values, size, name);
  }
  if (kind === "resize") {
    values.width = clamp(whole(values.width), 1, LARGEST);
    values.height = clamp(whole(values.height), 1, LARGEST);
    if (name === "width" || name === "height") values.by = name;
    if (values.lock) keepRatio(values, size);
  }
  if (kind === "watermark" && values.mark) {
    values.width = clamp(whole(values.width), 1, LARGEST);
    values.height = clamp(whole(values.height), 1, LARGEST);
    values.by = name === "height" ? "height" : "width";
    if (values.lock) keepRatio(values, [values.mark.width, values.mark.height]);
    values.left = clamp(whole(values.left), -2 * LARGEST, 2 * LARGEST);
    values.top = clamp(whole(values.top), -2 * LARGEST, 2 * LARGEST);
  }
};

const keepRatio = (values, [width, height]) => {
  if (values.by === "height") values.width = clamp(whole((values.height * width) / height), 1, LARGEST);
  else values.height = clamp(whole((values.width * height) / width), 1, LARGEST);
};

// What a control says, within its bounds; null while it is empty.
export const valueOf = (control) => {
  if (control.type === "checkbox") return control.checked;
  if (control.type !== "number" && control.type !== "range") return control.value;
  if (control.value === "" || !Number.isFinite(control.valueAsNumber)) return null;
  const value = clamp(
    control.valueAsNumber,
    control.min === "" ? -Infinity : Number(control.min),
    control.max === "" ? Infinity : Number(control.max),
  );
  return control.step === "1" ? whole(value) : value;
};

// Move the frame (x = y = 0) or one of its sides by so many pixels of the true picture.
export const drag = (step, start, x, y, across, down, [width, height]) => {
  const { values, kind } = step;
  if (kind === "watermark") {
    if (!x && !y) Object.assign(values, { left: whole(start.left + across), top: whole(start.top + down) });
    else {
      values.height = whole(Math.max(1, start.height + down));
      apply(step, "width", Math.max(1, start.width + across), [width, height]);
    }
    return;
  }
  if (!x && !y) {
    values.left = clamp(whole(start.left + across), 0, width - start.width);
    values.top = clamp(whole(start.top + down), 0, height - start.height);
    return;
  }
  let left = start.left;
  let top = start.top;
  let right = left + start.width;
  let bottom = top + start.height;
  if (x < 0) left = clamp(left + across, 0, right - 1);
  if (x > 0) right = clamp(right + across, left + 1, width);
  if (y < 0) top = clamp(top + down, 0, bottom - 1);
  if (y > 0) bottom = clamp(bottom + down, top + 1, height);
  const ratio = ratioOf(values);
  if (ratio) {
    // The side that was not moved follows; the opposite corner stays.
    let wide = right - left;
    if (!x || (y && (bottom - top) * ratio > wide)) wide = (bottom - top) * ratio;
    const roomX = x < 0 ? right : width - left;
    const roomY = y < 0 ? bottom : height - top;
    wide = Math.max(1, Math.min(wide, roomX, roomY * ratio));
    if (x < 0) left = right - wide;
    else right = left + wide;
    if (y < 0) top = bottom - wide / ratio;
    else bottom = top + wide / ratio;
  }
  values.left = clamp(whole(left), 0, width - 1);
  values.top = clamp(whole(top), 0, height - 1);
  values.width = clamp(whole(right) - values.left, 1, width - values.left);
  values.height = clamp(whole(bottom) - values.top, 1, height - values.top);
};

// A watermark begins with a quarter of the width, in the lower right corner.
export const settle = (values, mark, [width, height]) => {
  values.mark = mark;
  // A quarter of the width, in the lower right corner.
  values.by = "width";
  values.width = clamp(whole(Math.min(width / 4, (height / 4) * (mark.width / mark.height))), 1, LARGEST);
  keepRatio(values, [mark.width, mark.height]);
  const margin = whole(Math.min(width, height) / 40);
  values.left = width - values.width - margin;
  values.top = height - values.height - margin;
};
