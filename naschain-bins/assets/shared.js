/** The page of a link that was shared: the genomaster has opened the search for this browser, so go there. */

import { page } from "./dom.js";

if (page.base) location.replace(page.base);
