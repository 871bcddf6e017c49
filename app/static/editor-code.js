// A chain of operations as a request to the API, in three languages.

const python = (value) =>
  JSON.stringify(value, null, 2).replaceAll(/(: |\[\n? *)(true|false|null)\b/g, (_, before, word) =>
    before + { true: "True", false: "False", null: "None" }[word],
  );
const WRITTEN = {
  curl: (address, body, key) =>
    `curl ${address} \\\n  -H "Authorization: Bearer ${key}" \\\n  -H "Content-Type: application/json" \\\n` +
    `  -d '${JSON.stringify(body, null, 2).replaceAll("'", "'\\''")}'`,
  python: (address, body, key) =>
    `import requests\n\nimage = requests.post(\n    "${address}",\n` +
    `    headers={"Authorization": "Bearer ${key}"},\n    json=${python(body).replaceAll("\n", "\n    ")},\n).json()`,
  javascript: (address, body, key) =>
    `const answer = await fetch("${address}", {\n  method: "POST",\n  headers: {\n` +
    `    "Authorization": "Bearer ${key}",\n    "Content-Type": "application/json",\n  },\n` +
    `  body: JSON.stringify(${JSON.stringify(body, null, 2).replaceAll("\n", "\n  ")}),\n});\n` +
    "const image = await answer.json();",
};

export const written = (language, address, body, key) => WRITTEN[language](address, body, key);
