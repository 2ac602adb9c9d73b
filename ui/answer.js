// The panel of the answer. A choice shows here at once, so that an earlier answer is never taken for its own;
// what the server answers replaces it.
const block = document.getElementById("answer"); // `element` lies inside it
block.setAttribute("aria-live", "polite"); // read out what arrives
block.addEventListener("reading", ({ detail: picture }) => {
  props.value = props.reading.replace('src=""', `src="${picture}"`);
});
block.addEventListener("idle", () => {
  props.value = props.idle;
});
