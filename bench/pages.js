// What a page notes of itself while it loads, from its first moment on: bench/pages.py puts it there.

const noted = { shift: 0, shifts: [], largest: 0, first: 0 };
globalThis.noted = noted;

const watch = (type, note) =>
  new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({ type, buffered: true });
watch("layout-shift", ({ value, hadRecentInput, sources }) => {
  if (hadRecentInput) return;
  noted.shift += value;
  noted.shifts.push([value, sources.map(({ node }) => node?.outerHTML?.slice(0, 120) ?? node?.nodeName).join(" | ")]);
});
watch("largest-contentful-paint", ({ startTime }) => (noted.largest = startTime));
watch("paint", ({ name, startTime }) => name === "first-contentful-paint" && (noted.first = startTime));

const onScreen = (image) => {
  const { top, bottom, width } = image.getBoundingClientRect();
  return width > 0 && top < innerHeight && bottom > 0;
};

// Whether all pictures that the screen shows have come: no one is waited for below it.
noted.isWhole = () => {
  const shown = [...document.images].filter((image) => image.getAttribute("src") && onScreen(image));
  return shown.length > 0 && shown.every((image) => image.complete && image.naturalWidth);
};

// The moment at which the frame with the last of them is on the screen.
const PATIENCE = 60_000;
noted.whole = () =>
  new Promise((resolve, reject) => {
    const began = performance.now();
    const look = () => {
      if (noted.isWhole()) requestAnimationFrame(() => resolve(performance.now()));
      else if (performance.now() - began > PATIENCE) reject(new Error(`A picture of ${location} does not come.`));
      else requestAnimationFrame(look);
    };
    look();
  });
