// One place to give files, one place for the answer.

import { analyse } from "./api.js";
import { h } from "./dom.js";

export function mount(element) {
  const out = h("pre");
  const input = h("input", { type: "file", multiple: true });
  input.addEventListener("change", async () => {
    out.textContent = "";
    try {
      await analyse([...input.files], { onEvent: (event) => out.append(JSON.stringify(event).slice(0, 300), "\n") });
    } catch (error) {
      out.append(error.message);
    }
  });
  element.append(input, out);
}
