/** The pages to sign in and to register. */

import { byId, send } from "./dom.js";
import { busy, showTrouble } from "./account_parts.js";

const query = new URLSearchParams(location.search);
const MIN_PASSWORD = 10;

/** Where to go afterwards. Only paths of this genomaster: `//host`, `/\host` and addresses with a scheme lead elsewhere. */
function nextPath() {
  const next = query.get("next") ?? "/";
  if (!/^\/(?![/\\])/.test(next)) return "/";
  try {
    return new URL(next, location.origin).origin === location.origin ? next : "/";
  } catch {
    return "/";
  }
}

/** Says what is wrong with a field, at the top and at the field itself. */
function complain(field, text) {
  for (const one of document.querySelectorAll("form [aria-invalid]")) one.removeAttribute("aria-invalid");
  if (field) {
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-errormessage", "problem");
    field.focus();
  }
  showTrouble(byId("problem"), text ? { detail: text } : null);
}

function missing() {
  if (!byId("name").value.trim()) return [byId("name"), "Enter your name."];
  if (!byId("password").value) return [byId("password"), "Enter your password."];
  return null;
}

function wrongRegistration() {
  const [name, password] = [byId("name").value.trim(), byId("password").value];
  if (!/^[a-z0-9][a-z0-9._-]*$/.test(name)) {
    return [byId("name"), "The name must be of small letters, digits, and . _ -, and begin with a letter or digit."];
  }
  // As the genomaster counts: characters, not UTF-16 units.
  const length = [...password].length;
  if (length < MIN_PASSWORD) {
    return [byId("password"), `The password has ${length} characters; it must have at least ${MIN_PASSWORD}.`];
  }
  if (!password.trim()) return [byId("password"), "The password has only spaces. Choose one with letters or other characters."];
  if (byId("again").value !== password) return [byId("again"), "The two passwords differ. Enter the same one twice."];
  if (isByInvitation() && !byId("invitation").value.trim()) return [byId("invitation"), "Enter your invitation; the administrator makes them."];
  return null;
}

const isByInvitation = () => byId("invitation").required;

/** At a genomaster where only those with an invitation may register. */
function requireInvitation() {
  byId("invitation").required = true;
  document.querySelector("label[for=invitation]").firstChild.data = "Invitation ";
}

/** What an answer says, with the field that it is about. */
function refused(problem) {
  if (problem.status === 401) return [byId("password"), "Wrong name or password."];
  const text = problem.detail ?? String(problem.message ?? problem);
  if (/by invitation/.test(text)) requireInvitation();
  const field = /invitation/.test(text) ? byId("invitation") : /choose another name/.test(text) ? byId("name") : null;
  return [field, text];
}

const signIn = (user, password) => send("POST", "/v1/session", { user, password });

/** Handles a form: checks it, sends it, and goes on to the next page. */
function handle(form, check, request) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wrong = check();
    complain(...(wrong ?? [null, null]));
    if (wrong) return;
    busy(form.querySelector("button"), async () => {
      try {
        await request(byId("name").value.trim(), byId("password").value);
        location.assign(nextPath());
      } catch (problem) {
        complain(...refused(problem));
      }
    });
  });
}

async function register(name, password) {
  const invitation = byId("invitation").value.trim();
  await send("POST", "/v1/users", invitation ? { name, password, invitation } : { name, password });
  await signIn(name, password);
}

const registration = byId("register");
if (registration) {
  byId("invitation").value = query.get("invitation") ?? "";
  handle(registration, () => missing() ?? wrongRegistration(), register);
} else if (byId("sign-in")) {
  handle(byId("sign-in"), missing, signIn);
}
// The other page goes on to the same place.
const other = byId("other");
if (other && query.has("next")) other.search = `?next=${encodeURIComponent(query.get("next"))}`;
byId("name")?.focus();
