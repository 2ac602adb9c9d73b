// One listener for all buttons of the gallery.
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-sample]");
  if (!button) return;
  const answer = document.getElementById("answer");
  answer.dispatchEvent(new CustomEvent("reading", { detail: button.querySelector("img").src }));
  answer.scrollIntoView({ block: "nearest" }); // on a phone it lies above the gallery
  trigger("sample", { number: Number(button.dataset.sample), at: performance.now() });
});
