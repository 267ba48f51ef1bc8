// A single-page application by oidc-client-ts alone: it signs in by redirect or in a window of its own, renews its
// tokens by a refresh token or in a hidden frame, and signs out.
// `/?watch`: it asks the provider's frame whether its user is still there. `/?soon`: its tokens are about to end.

const show = (id, text) => { document.getElementById(id).textContent = text; };

// What the provider said, or what the browser made of it.
const reason = (error) => error.error ?? error.message;

async function main() {
  const settings = await (await fetch("/settings.json")).json();
  const asked = new URLSearchParams(location.search);
  const app = new oidc.UserManager({
    ...settings,
    userStore: new oidc.WebStorageStateStore({ store: localStorage }),
    automaticSilentRenew: asked.has("soon"),
    accessTokenExpiringNotificationTimeInSeconds: asked.has("soon") ? 3_598 : 60,
    monitorSession: asked.has("watch"),
    checkSessionIntervalInSeconds: 0.2,
  });
  const know = (user) => show("who", user ? user.profile.name : "nobody");
  const deeds = {
    "sign-in": () => app.signinRedirect(),
    "sign-in-in-a-window": async () => { know(await app.signinPopup()); return "signed in"; },
    "renew": async () => { know(await app.signinSilent()); return "renewed"; },
    "renew-in-a-frame": async () => { know(await app.signinSilent({ forceIframeAuth: true })); return "renewed"; },
    "userinfo": async () => {
      const [url, user] = [await app.metadataService.getUserInfoEndpoint(), await app.getUser()];
      const reply = await fetch(url, { headers: { Authorization: `Bearer ${user.access_token}` } });
      return reply.ok ? (await reply.json()).name : `${reply.status} ${reply.headers.get("www-authenticate")}`;
    },
    "revoke": async () => { await app.revokeTokens(); return "given back"; },
    "sign-out": () => app.signoutRedirect(),
  };
  for (const [id, deed] of Object.entries(deeds)) {
    document.getElementById(id).addEventListener("click", async () => {
      show("said", "");
      try {
        show("said", (await deed()) ?? "");
      } catch (error) {
        show("said", reason(error));
      }
    });
  }
  app.events.addUserLoaded((user) => { know(user); show("heard", "loaded"); });
  app.events.addSilentRenewError((error) => show("heard", `not renewed: ${reason(error)}`));
  app.events.addUserSessionChanged(() => show("heard", "changed"));
  app.events.addUserSignedOut(async () => { await app.removeUser(); know(null); show("heard", "signed out"); });
  window.app = app;
  show("said", asked.get("said") ?? "");
  know(await app.getUser());
}

main();
