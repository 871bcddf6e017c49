// POST /compress/batch as a small sharp server: the same form in, the same pictures done, the same JSON out.
// No keys, no limits, no database, and uploads stay in memory: what a careful weekend would build.
import http from "node:http";
import busboy from "busboy";
import sharp from "sharp";

// Whole pictures in parallel (UV_THREADPOOL_SIZE of them) use the cores better than threads inside each picture, and
// a cache of operations only costs memory where no two requests are alike.
sharp.concurrency(1);
sharp.cache(false);

function readForm(request) {
  return new Promise((resolve, reject) => {
    const form = { files: [], fields: {} };
    const parser = busboy({ headers: request.headers, limits: { fileSize: 200 * 2 ** 20 } });
    parser.on("file", (_, stream, { filename }) => {
      const chunks = [];
      stream.on("data", (chunk) => chunks.push(chunk));
      stream.on("end", () => form.files.push({ name: filename, content: Buffer.concat(chunks) }));
    });
    parser.on("field", (name, value) => (form.fields[name] = value));
    parser.on("error", reject);
    parser.on("close", () => resolve(form));
    request.pipe(parser);
  });
}

async function compress({ name, content }, { quality = "0.8", maxWidth }) {
  const source = sharp(content);
  const { format } = await source.metadata();
  let picture = source.autoOrient();
  if (maxWidth) picture = picture.resize({ width: Number(maxWidth), fit: "inside", withoutEnlargement: true });
  const percent = Math.round(Number(quality) * 100);
  const encoded =
    format === "webp" ? picture.webp({ quality: percent }) : picture.jpeg({ quality: percent, mozjpeg: true });
  const { data, info } = await encoded.toBuffer({ resolveWithObject: true });
  return {
    originalName: name,
    mimeType: `image/${info.format}`,
    originalSize: content.length,
    size: info.size,
    width: info.width,
    height: info.height,
    data: data.toString("base64"),
  };
}

async function answer(request, response) {
  if (request.method !== "POST") return response.end(JSON.stringify({ status: "ok", versions: sharp.versions }));
  const { files, fields } = await readForm(request);
  const results = await Promise.all(files.map((file) => compress(file, fields)));
  const body = Buffer.from(JSON.stringify({ processed: results.length, results }));
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": body.length });
  return response.end(body);
}

const server = http.createServer((request, response) => {
  answer(request, response).catch((error) => response.writeHead(500).end(String(error)));
});
server.keepAliveTimeout = 60_000;
server.listen(Number(process.env.PORT), "127.0.0.1");
