// Forms with data-passkey ask the browser for a passkey and send its answer (WebAuthn, level 3).

const problems = {
  InvalidStateError: "This device has a passkey for your account already.",
  NotAllowedError: "No passkey was used: you stopped, or it took too long. Try again.",
  SecurityError: "Passkeys do not work at this address.",
};
const supported = window.PublicKeyCredential && "parseRequestOptionsFromJSON" in PublicKeyCredential;

const asked = async (form) => {
  const answer = await fetch(form.dataset.options, { method: "POST" });
  if (answer.redirected) {
    location.assign(answer.url);
    return null;
  }
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
};

const answered = (form, options) =>
  form.dataset.passkey === "create"
    ? navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
    : navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });

const send = async (form) => {
  const button = form.querySelector("button");
  const problem = form.querySelector("[data-problem]");
  problem.hidden = button.disabled = true;
  try {
    const options = await asked(form);
    if (options === null) return;
    const credential = await answered(form, options);
    form.elements.credential.value = JSON.stringify(credential);
    form.submit();
  } catch (error) {
    problem.querySelector("span").textContent =
      problems[error.name] ?? "The passkey could not be used. Reload the page and try again.";
    problem.hidden = button.disabled = false;
  }
};

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const usable = form.querySelector("[data-with]");
  if (!supported || !usable) continue;
  usable.hidden = false;
  form.querySelector("[data-without]").hidden = true;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}
