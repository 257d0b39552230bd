/** The page of a link that was shared: opens the search for this browser, and goes there. */

import { byId, page, send, showProblem } from "./dom.js";

async function openSearch() {
  try {
    await send("POST", location.pathname);
    location.replace(page.base);
  } catch (problem) {
    showProblem(byId("problem"), problem);
  }
}

byId("open").addEventListener("click", openSearch);
openSearch();
