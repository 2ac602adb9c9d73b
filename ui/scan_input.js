// The drop zone. The browser keeps the file's name; the server gets its bytes and answers with a token.
const input = element.querySelector("input");
const zone = element.querySelector(".drop");
const status = element.querySelector(".drop-status");

function tellPanel(type, detail) {
  document.getElementById("answer").dispatchEvent(new CustomEvent(type, { detail }));
}

function send(file) {
  if (!file) return;
  const at = performance.now(); // of several choices, the last one is answered
  const refuse = (message) => {
    status.textContent = "";
    trigger("refused", { message, at });
  };
  tellPanel("reading", "");
  if (file.size > props.max_bytes) return refuse(props.too_large);
  const form = new FormData();
  form.append("file", file, "scan");
  const request = new XMLHttpRequest();
  request.open("POST", new URL("page/scan", document.baseURI));
  request.responseType = "json";
  status.textContent = "Uploading";
  request.upload.onprogress = (event) => {
    if (event.lengthComputable)
      status.textContent = `Uploading ${Math.round((100 * event.loaded) / event.total)} %`;
  };
  request.onload = () => {
    if (request.status !== 200) return refuse(request.response?.error?.message ?? props.unreachable);
    status.textContent = "";
    tellPanel("reading", request.response.picture);
    trigger("scan", { token: request.response.token, at });
  };
  request.onerror = () => {
    // Without a server nothing can be rendered there; say it here.
    tellPanel("idle");
    status.textContent = props.unreachable;
  };
  request.send(form);
}

input.addEventListener("change", () => {
  send(input.files[0]);
  input.value = ""; // so that the same file can be chosen again
});
for (const type of ["dragenter", "dragover"])
  zone.addEventListener(type, (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
for (const type of ["dragleave", "drop"])
  zone.addEventListener(type, (event) => {
    event.preventDefault();
    zone.classList.remove("over");
  });
zone.addEventListener("drop", (event) => send(event.dataTransfer.files[0]));
