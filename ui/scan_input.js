// The drop zone. The browser keeps the file's name; the server gets its bytes and answers with a token.
const input = element.querySelector("input");
const zone = element.querySelector(".drop");
const status = element.querySelector(".drop-status");

function refuse(message) {
  status.textContent = "";
  trigger("refused", { message });
}

function send(file) {
  if (!file) return;
  // From here on an earlier answer must not be taken for this file's.
  document.getElementById("answer")?.setAttribute("aria-busy", "true");
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
    trigger("scan", { token: request.response.token });
  };
  request.onerror = () => {
    // Without a server nothing can be rendered there; say it here.
    document.getElementById("answer")?.removeAttribute("aria-busy");
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
