// The request of the playground's settings, as one would send it.

const PLAIN = /^[\w][\w. -]*$/;

const asLines = (settings, write) => Object.entries(settings).map(([name, value]) => write(name, value));

const endings = { "image/jpeg": "jpg", "image/webp": "webp", "image/avif": "avif", "image/png": "png" };

const curl = (settings, name, output, address) =>
  [
    `curl -H "x-api-key: $KEY" \\`,
    `  -F 'files[]=@${name}' \\`,
    ...asLines(settings, (field, value) => `  -F ${field}=${value} \\`),
    `  ${address} \\`,
    `  | jq -r '.results[0].data' | base64 -d > '${output}'`,
  ].join("\n");

const python = (settings, name, output, address) =>
  [
    "import base64, os, requests",
    "",
    `with open("${name}", "rb") as file:`,
    "    answer = requests.post(",
    `        "${address}",`,
    `        headers={"x-api-key": os.environ["KEY"]},`,
    `        files={"files[]": file},`,
    "        data={",
    ...asLines(settings, (field, value) => `            "${field}": "${value}",`),
    "        },",
    "    )",
    "answer.raise_for_status()",
    `result = answer.json()["results"][0]`,
    `with open("${output}", "wb") as file:`,
    `    file.write(base64.b64decode(result["data"]))`,
  ].join("\n");

const javascript = (settings, name, output, address) =>
  [
    `import { openAsBlob } from "node:fs";`,
    `import { writeFile } from "node:fs/promises";`,
    "",
    "const form = new FormData();",
    `form.append("files[]", await openAsBlob("${name}"), "${name}");`,
    ...asLines(settings, (field, value) => `form.append("${field}", "${value}");`),
    `const answer = await fetch("${address}", {`,
    `  method: "POST",`,
    `  headers: { "x-api-key": process.env.KEY },`,
    "  body: form,",
    "});",
    "if (!answer.ok) throw new Error((await answer.json()).error);",
    "const [result] = (await answer.json()).results;",
    `await writeFile("${output}", Buffer.from(result.data, "base64"));`,
  ].join("\n");

const languages = { curl, python, javascript };

// A name that a shell or a string would read otherwise is left out for a plain one.
export const snippet = (language, settings, fileName = "photo.jpg") => {
  const name = PLAIN.test(fileName) ? fileName : "photo.jpg";
  const dot = name.lastIndexOf(".");
  const [stem, own] = dot > 0 ? [name.slice(0, dot), name.slice(dot + 1)] : [name, "jpg"];
  const output = `${stem}-small.${endings[settings.mimeType] ?? own}`;
  return languages[language](settings, name, output, `${location.origin}/compress/batch`);
};
