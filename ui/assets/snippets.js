// Programs that ask this page's server, complete: pasted as they are, they work beside a file scan.png.

/** The address in a model server's snippet that only who runs it can fill in. */
export const MODEL_SERVER = "HOST:8500";

/**
 * All snippets, in the order to show them.
 *
 * @param {string} base the page's address, with its last slash
 * @returns {{ key: string, language: string, code: string }[]}
 */
export const snippets = (base) => [
  { key: "curl", language: "shell", code: `curl -F file=@scan.png "${base}api/v1/analyze?map=true"` },
  {
    key: "stream",
    language: "shell",
    code: `curl -N -H "Accept: application/x-ndjson" -F file=@scan.png -F file=@scan.png "${base}api/v1/analyze"`,
  },
  { key: "pdf", language: "shell", code: `curl -F file=@scan.png -o report.pdf "${base}api/v1/report?lang=en"` },
  {
    key: "python",
    language: "python",
    code: `# pip install requests
import requests

with open("scan.png", "rb") as scan:
    answer = requests.post("${base}api/v1/analyze", files={"file": scan}, timeout=60)
answer.raise_for_status()
report = answer.json()
for refused in report["refused"]:
    print("refused:", refused["error"]["message"])
for study in report["results"]:
    for one in study["slices"]:
        decision = one["decision"]
        if decision and decision["in_distribution"]:
            print(decision["label"], decision["probability"], decision["risk"])
        else:
            print("no answer: not like the scans that the model knows")`,
  },
  {
    key: "gradio",
    language: "python",
    code: `# pip install gradio_client
from base64 import b64encode
from pathlib import Path

from gradio_client import Client

client = Client("${base}")
image = b64encode(Path("scan.png").read_bytes()).decode()
report = client.predict(image=image, map=False, api_name="/analyze")
for study in report["results"]:
    for one in study["slices"]:
        print(one["decision"])`,
  },
  {
    key: "grpc",
    language: "python",
    code: `# in a clone of the repository
from pathlib import Path

from data.imaging import prepare_scan
from serving.client import Client

image = prepare_scan(Path("scan.png").read_bytes())
with Client("${MODEL_SERVER}") as client:
    answer = client.predict(image[None])
for one in answer.predictions:
    print(answer.version, one.label, one.probability, one.risk, one.in_distribution)`,
  },
];
