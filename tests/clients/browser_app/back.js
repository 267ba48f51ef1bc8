// Where answers come back to: in the window itself, in one of its own, or in a hidden frame. The library knows which.

async function main() {
  const settings = await (await fetch("/settings.json")).json();
  const userStore = new oidc.WebStorageStateStore({ store: localStorage });
  const app = new oidc.UserManager({ ...settings, userStore, automaticSilentRenew: false });
  try {
    if (await app.signinCallback()) { location.replace("/"); }
  } catch (error) {
    location.replace(`/?said=${encodeURIComponent(error.error ?? error.message)}`);
  }
}

main();
