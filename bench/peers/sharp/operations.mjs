// One picture after the other through one operation: a line of JSON in, a line with the bytes written out.
import { createInterface } from "node:readline";
import sharp from "sharp";

sharp.concurrency(1);
sharp.cache(false);

const OPERATIONS = {
  shrink: (picture) => picture.resize({ width: 800 }),
  contain: (picture) => picture.resize({ width: 800, height: 800, fit: "contain", background: "#ff8800" }),
  cover: (picture) => picture.resize({ width: 800, height: 800, fit: "cover" }),
  crop: (picture) => picture.extract({ left: 100, top: 100, width: 1600, height: 1200 }),
  turn: (picture) => picture.rotate(90),
  rotate: (picture) => picture.rotate(20, { background: "#ff8800" }),
  mirror: (picture) => picture.flop(),
  "blur 3": (picture) => picture.blur(3),
  "blur 60": (picture) => picture.blur(60),
  modulate: (picture) => picture.modulate({ brightness: 1.2, saturation: 1.3, hue: 40 }),
  chain: (picture) => picture.resize({ width: 1280 }).blur(2).modulate({ saturation: 1.3 }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { path, operation } = JSON.parse(line);
  // Upright first, in a picture of its own: sharp has one rotation for each.
  const upright = sharp(path).autoOrient();
  const { data } = await OPERATIONS[operation](upright)
    .jpeg({ quality: 80, mozjpeg: true })
    .toBuffer({ resolveWithObject: true });
  console.log(JSON.stringify({ bytes: data.length }));
}
