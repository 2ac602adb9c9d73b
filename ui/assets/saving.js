// What the page made, as a file to keep.

import { h } from "./dom.js";

/** Hand a Blob to the browser as a file of that name. */
export function save(blob, name) {
  const address = URL.createObjectURL(blob);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // the browser may still be reading it
}
