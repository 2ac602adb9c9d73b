// The API tab: how programs ask what this page asks, with this page's own address.

import { get, getOnce } from "./api.js";
import { codeBlock } from "./code_block.js";
import { h } from "./dom.js";
import { figureTable } from "./figure_table.js";
import { MODEL_SERVER, snippets } from "./snippets.js";
import { number, t } from "./texts.js";

/** Fill the tab; its tables are read from the server's own description. */
export function mount(element) {
  element.classList.add("api");
  const tables = h("div", { class: "tables" });
  element.append(intro(), ...snippets(new URL(".", document.baseURI).href).map(example), tables);
  describe(tables);
}

function intro() {
  const link = (path, key) => h("a", { href: new URL(path, document.baseURI) }, t(key));
  return h("section", { "aria-labelledby": "api-title" },
    h("h2", { id: "api-title" }, t("api.title")),
    h("p", {}, t("api.what")),
    h("p", {}, t("api.login")),
    h("p", { class: "links" }, link("docs", "api.docs"), link("openapi.json", "api.openapi")));
}

function example({ key, language, code }) {
  const id = `api-${key}`;
  return h("section", { "aria-labelledby": id, "data-snippet": key, "data-language": language },
    h("h3", { id }, t(`api.${key}.title`)),
    h("p", {}, t(`api.${key}.what`, { placeholder: MODEL_SERVER })),
    codeBlock(code, t(`api.${key}.title`)));
}

async function describe(element) {
  try {
    const [limits, spec] = await Promise.all([getOnce("api/v1/limits"), get("openapi.json")]);
    element.replaceChildren(limitTable(limits), routeTable(spec), errorTable(spec));
  } catch (error) {
    element.replaceChildren(h("p", { role: "alert" }, error.message));
  }
}

const titled = (key, ...content) =>
  h("section", { "aria-labelledby": `api-${key}` }, h("h3", { id: `api-${key}` }, t(`api.${key}.title`)), h("p", {}, t(`api.${key}.what`)), ...content);

function limitTable(limits) {
  const rows = Object.entries(limits).map(([name, value]) => [
    t(`api.limit.${name}`),
    typeof value === "number" ? number(value, Number.isInteger(value) ? 0 : 1) : value ?? t("api.limit.none"),
  ]);
  return titled("limits", figureTable({ caption: t("api.limits.caption"), head: [t("api.limits.what_of"), t("api.limits.value")], rows }));
}

function routeTable({ paths }) {
  const rows = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { summary }]) => [h("code", {}, `${method.toUpperCase()} ${path}`), h("span", { lang: "en" }, summary)]));
  return titled("routes", figureTable({ caption: t("api.routes.caption"), head: [t("api.routes.address"), t("api.routes.does")], rows, kind: "wide-last" }));
}

/** Each status but success, with what the description says of it. */
function errorTable({ paths }) {
  const meanings = new Map();
  for (const operation of Object.values(paths).flatMap(Object.values)) {
    for (const [status, { description }] of Object.entries(operation.responses ?? {})) {
      if (Number(status) >= 400) meanings.set(status, (meanings.get(status) ?? new Set()).add(description.replaceAll("`", "")));
    }
  }
  const rows = [...meanings].sort().map(([status, texts]) => [status, h("span", { lang: "en" }, [...texts].join(" "))]);
  return titled("errors", codeBlock('{"error": {"code": "empty", "message": "The file is empty. Export the scan again and send that file."}}', t("api.errors.shape")),
    figureTable({ caption: t("api.errors.caption"), head: [t("api.errors.status"), t("api.errors.meaning")], rows, kind: "wide-last" }));
}
