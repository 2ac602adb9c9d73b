// Read out what arrives; what was dimmed while a new scan was on its way is current again.
element.setAttribute("aria-live", "polite");
watch("value", () => document.getElementById("answer")?.removeAttribute("aria-busy"));
