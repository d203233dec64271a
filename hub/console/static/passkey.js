// Passkeys: asks the hub what to prove, the authenticator to prove it, and the hub whether it holds.
"use strict";

const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

class NotLetIn extends Error {}

async function ask(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new NotLetIn(told.text || "");
  return told;
}

async function register(code) {
  const { options } = await ask("/sign-in/new/ask", { code });
  options.challenge = bytes(options.challenge);
  options.user.id = bytes(options.user.id);
  options.excludeCredentials = [];
  const made = await navigator.credentials.create({ publicKey: options });
  return ask("/sign-in/new", {
    id: made.id,
    rawId: text(made.rawId),
    type: made.type,
    response: {
      clientDataJSON: text(made.response.clientDataJSON),
      attestationObject: text(made.response.attestationObject),
    },
  });
}

async function signIn(then) {
  const { options } = await ask("/sign-in/passkey/ask", { then });
  options.challenge = bytes(options.challenge);
  options.allowCredentials = [];
  const proof = await navigator.credentials.get({ publicKey: options });
  const answer = proof.response;
  return ask("/sign-in/passkey", {
    id: proof.id,
    rawId: text(proof.rawId),
    type: proof.type,
    response: {
      clientDataJSON: text(answer.clientDataJSON),
      authenticatorData: text(answer.authenticatorData),
      signature: text(answer.signature),
      userHandle: answer.userHandle ? text(answer.userHandle) : null,
    },
  });
}

const form = document.querySelector("form[data-passkey]");
const said = document.getElementById("said");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  said.textContent = form.dataset.waiting;
  said.hidden = false;
  said.className = "said";
  button.disabled = true;
  try {
    const { then } = form.dataset.passkey === "new"
      ? await register(form.elements.code.value)
      : await signIn(form.dataset.then);
    location.assign(then);
  } catch (wrong) {
    said.textContent = (wrong instanceof NotLetIn && wrong.message) || form.dataset.failed;
    said.className = "said bad";
    button.disabled = false;
    (form.elements.code || button).focus();
  }
});

if (window.PublicKeyCredential) form.hidden = false;
else document.getElementById("without").hidden = false;
