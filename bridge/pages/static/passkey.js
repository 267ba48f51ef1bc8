// Asks the browser for a passkey and sends what it says with the form. Where there is no script the form stays hidden:
// every page works without it.
(() => {
  "use strict";

  const toBytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  const toText = (bytes) =>
    btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = (credentials) => (credentials || []).map((each) => ({ ...each, id: toBytes(each.id) }));

  const asked = (options) => ({
    ...options,
    challenge: toBytes(options.challenge),
    ...(options.user && { user: { ...options.user, id: toBytes(options.user.id) } }),
    ...(options.allowCredentials && { allowCredentials: named(options.allowCredentials) }),
    ...(options.excludeCredentials && { excludeCredentials: named(options.excludeCredentials) }),
  });

  const said = ({ id, rawId, type, response }) => ({
    id,
    rawId: toText(rawId),
    type,
    response: {
      clientDataJSON: toText(response.clientDataJSON),
      ...(response.attestationObject && {
        attestationObject: toText(response.attestationObject),
        transports: response.getTransports ? response.getTransports() : [],
      }),
      ...(response.signature && {
        authenticatorData: toText(response.authenticatorData),
        signature: toText(response.signature),
        userHandle: response.userHandle ? toText(response.userHandle) : null,
      }),
    },
  });

  const offer = (form) => {
    const button = form.querySelector("button[type=submit]");
    const failed = form.querySelector(".passkey-failed");
    const publicKey = asked(JSON.parse(form.dataset.passkey));
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      button.disabled = true;
      failed.hidden = true;
      try {
        const made = publicKey.user
          ? await navigator.credentials.create({ publicKey })
          : await navigator.credentials.get({ publicKey });
        const keep = document.getElementById("keep");
        if (form.elements.keep) form.elements.keep.value = keep && keep.checked ? "1" : "";
        form.elements.passkey.value = JSON.stringify(said(made));
        HTMLFormElement.prototype.submit.call(form);
      } catch {
        button.disabled = false;
        failed.hidden = false;
        // A button that was just clicked takes no second click (bridge.css); this second one is meant.
        if (!button.matches(":focus-visible")) button.blur();
      }
    });
  };

  const able = window.PublicKeyCredential && navigator.credentials;
  for (const form of document.querySelectorAll("form[data-passkey]")) if (able) offer(form);
  for (const note of document.querySelectorAll(".passkey-none")) note.hidden = Boolean(able);
})();
