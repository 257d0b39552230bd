/** What the owner of a search can do with it on its page. */

import { busy, confirmed } from "./account_parts.js";
import { el, fetchJson, page, send, showProblem } from "./dom.js";

/** How the owner changes a search, by the last part of the route; `ask` is the question before it. */
export const CHANGES = {
  pause: { label: "Pause", states: ["running"], done: "paused" },
  resume: { label: "Resume", states: ["paused"], done: "goes on" },
  stop: {
    label: "Stop", states: ["running", "paused"], done: "is being stopped",
    ask: (name) => ({
      title: `Stop ${name}?`, action: "Stop it",
      text: "It ends with the networks that it has found so far, and cannot go on afterwards. To interrupt it for a while, pause it.",
    }),
  },
};

/**
 * Buttons for a search of the user, and the reason why it waits, if it does. `problem` is the element for
 * what goes wrong. Returns `{root, refresh}`; `refresh` shows them anew.
 */
export function ownActions(problem) {
  const reason = el("p", { class: "hint", role: "status" });
  const buttons = el("div", { class: "own-actions" });
  const root = el("div", {}, buttons, reason);

  async function act(name, button) {
    const { ask } = CHANGES[name];
    if (ask && !(await confirmed(ask("this search")))) return;
    await busy(button, async () => {
      try {
        await send("POST", `${page.api}/${name}`);
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
    const fitting = Object.keys(CHANGES).filter((name) => CHANGES[name].states.includes(run.state));
    const names = fitting.join();
    // The focus stays where it is unless other buttons take its place.
    if (buttons.dataset.names === names) return;
    buttons.dataset.names = names;
    buttons.replaceChildren(...fitting.map((name) => el("button", { type: "button", onclick: ({ currentTarget }) => act(name, currentTarget) }, CHANGES[name].label)));
  }
  return { root, refresh };
}
