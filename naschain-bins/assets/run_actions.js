/** What the owner of a search can do with it on its page. */

import { busy, confirmed } from "./account_parts.js";
import { el, fetchJson, page, send, showProblem } from "./dom.js";

const ACTIONS = [
  { name: "pause", label: "Pause", states: ["running"] },
  { name: "resume", label: "Resume", states: ["paused"] },
  {
    name: "stop", label: "Stop", states: ["running", "paused"],
    question: {
      title: "Stop this search?", action: "Stop it",
      text: "It ends with the networks that it has found so far, and cannot go on afterwards. To interrupt it for a while, pause it.",
    },
  },
];

/**
 * Buttons for a search of the user, and the reason why it waits, if it does. `problem` is the element for
 * what goes wrong. Returns `{root, refresh}`; `refresh` shows them anew.
 */
export function ownActions(problem) {
  const reason = el("p", { class: "hint", role: "status" });
  const buttons = el("div", { class: "own-actions" });
  const root = el("div", {}, buttons, reason);

  async function act(action, button) {
    if (action.question && !(await confirmed(action.question))) return;
    await busy(button, async () => {
      try {
        await send("POST", `${page.api}/${action.name}`);
        showProblem(problem, null);
      } catch (error) {
        showProblem(problem, error);
      }
    });
    refresh();
  }

  async function refresh() {
    const run = await fetchJson(page.api).catch(() => null);
    if (!run) return;
    reason.textContent = run.waits ? `The search waits: ${run.waits}.` : "";
    const fitting = ACTIONS.filter(({ states }) => states.includes(run.state));
    const names = fitting.map(({ name }) => name).join();
    // The focus stays where it is unless other buttons take its place.
    if (buttons.dataset.names === names) return;
    buttons.dataset.names = names;
    buttons.replaceChildren(...fitting.map((action) => el("button", { type: "button", onclick: ({ currentTarget }) => act(action, currentTarget) }, action.label)));
  }
  return { root, refresh };
}
