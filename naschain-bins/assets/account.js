/** The page of the user's own account: quotas and tokens. */

import { byId, el, fetchJson, number, page, send, table } from "./dom.js";
import { busy, confirmed, copyButton, date, fill, markField, quietHead, quotaBytes, reveal, say, showTrouble, signInPath, stacked } from "./account_parts.js";

function meter(label, used, most, shown) {
  const share = most ? used / most : 1;
  const id = `meter-${label.toLowerCase().replaceAll(" ", "-")}`;
  const hint = share >= 1 ? " Used up." : share >= 0.9 ? " Nearly used up." : "";
  return el("div", { class: "quota" },
    el("label", { for: id }, label),
    el("meter", { id, min: 0, max: Math.max(most, 1e-9), high: most * 0.9, value: Math.min(used, most) }),
    el("span", { class: share >= 0.9 ? "no" : "" }, `${shown(used)} of ${shown(most)}.${hint}`));
}

async function showQuotas() {
  const me = await fetchJson("/v1/me");
  byId("who").textContent = me.admin ? `${me.name} (administrator)` : me.name;
  byId("token-user").value = me.name;
  fill("quotas",
    meter("Searches that have not ended", me.open_runs, me.max_runs, number),
    meter("Data sets", me.stored_bytes, me.max_bytes, quotaBytes),
    meter("Processor hours of miners", me.used_hours, me.max_hours, (hours) => `${number(Math.round(hours * 10) / 10)} h`));
}

async function showTokens() {
  const tokens = await fetchJson("/v1/tokens");
  if (!tokens.length) {
    fill("tokens", el("p", { class: "hint" }, "You have no tokens."));
    return;
  }
  const now = Date.now() / 1000;
  const rows = tokens.map((token) => [
    el("th", { scope: "row" }, token.label || `(no label, ${token.id.slice(0, 8)})`),
    token.scopes.join(", "),
    date(token.created_s),
    token.expires_s === undefined ? "never" : el("span", {}, date(token.expires_s), token.expires_s < now ? " (expired)" : ""),
    el("button", {
      type: "button", class: "danger", "aria-label": `Revoke ${token.label || token.id}`, onclick: (event) => revoke(token, event.target),
    }, "Revoke"),
  ]);
  fill("tokens", stacked(table("List of tokens", ["For", "Allows", "Made", "Ends", quietHead("Actions")], rows)));
}

async function revoke(token, button) {
  const isSure = await confirmed({
    title: `Revoke the token ${token.label || token.id}?`,
    text: "Programs that use it are refused from now on. A new token does not bring it back.",
    action: "Revoke",
  });
  if (!isSure) return;
  await busy(button, () => attempt("problem", async () => {
    await send("DELETE", `/v1/tokens/${encodeURIComponent(token.id)}`);
    await showTokens();
    say("status", "The token is revoked.");
    byId("tokens-title").scrollIntoView({ block: "nearest" });
  }));
}

async function attempt(problemId, work) {
  const element = byId(problemId);
  try {
    await work();
    showTrouble(element, null);
  } catch (problem) {
    showTrouble(element, problem);
    reveal(element);
  }
}

/** What to do with a new token; it is shown this once. */
function showMade(token) {
  const code = el("code", { class: "secret" }, token);
  const command = el("pre", { tabIndex: 0, role: "region", "aria-label": "Commands" },
    `export NASCHAIN_GENOMASTER=${location.origin}\nexport NASCHAIN_TOKEN=${token}\ngenomaster status`);
  fill("made",
    el("p", {}, el("strong", {}, "Copy the token now. "), "It is stored only as a hash, so it cannot be shown again."),
    el("p", {}, code, " ", copyButton(token, code, "Copy the token")),
    el("p", {}, "For the command line:"), command);
  byId("made").hidden = false;
  byId("made").focus();
}

function refusePassword(text) {
  const password = byId("password");
  markField(password, text);
  password.focus();
  throw new Error("The token was not made.");
}

/** This request has the password with it, so the answer 401 is about that and not about the session. */
async function makeToken(wanted) {
  try {
    return (await send("POST", "/v1/tokens", wanted)).token;
  } catch (problem) {
    if (problem.status === 401) refusePassword("Wrong password.");
    throw problem;
  }
}

byId("new-token").addEventListener("submit", (event) => {
  event.preventDefault();
  const scopes = [...document.querySelectorAll("[name=scope]:checked")].map((box) => box.value);
  const password = byId("password");
  byId("made").hidden = true;
  attempt("token-problem", async () => {
    if (!scopes.length) throw new Error("Tick at least one thing that the token allows.");
    markField(password, null);
    if (!password.value) refusePassword("Enter your password: a token can do what you can.");
    const days = byId("days").value;
    const wanted = { user: page.user, password: password.value, label: byId("label").value.trim(), scopes };
    if (days) wanted.days = Number(days);
    await busy(event.submitter, async () => showMade(await makeToken(wanted)));
    password.value = "";
    await showTokens();
  });
});

byId("sign-out").addEventListener("click", (event) => busy(event.target, () => attempt("problem", async () => {
  await send("DELETE", "/v1/session");
  location.assign("/");
})));

if (page.user) attempt("problem", () => Promise.all([showQuotas(), showTokens()]));
else location.replace(signInPath());
