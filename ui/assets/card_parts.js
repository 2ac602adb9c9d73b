// What the parts of a model card are made of.

import { h } from "./dom.js";
import { t } from "./texts.js";

/**
 * A part of the card with its heading; texts are `model.PART.title` and so on.
 *
 * Cards of other times have other shapes: a part that cannot be read says so, and the others stand.
 */
export function section(part, read, card) {
  const id = `model-${part}`;
  let content;
  try {
    content = read(card);
  } catch (error) {
    console.warn(`the card's part "${part}" has a shape that this page does not know`, error);
    content = [h("p", { class: "unmeasured" }, t("model.unreadable"))];
  }
  return h("section", { id, "aria-labelledby": `${id}-title` }, h("h3", { id: `${id}-title` }, t(`model.${part}.title`)), content);
}

/** A paragraph. */
export const p = (key, places) => h("p", {}, t(key, places));

/** Words of the card itself, which are English in every language of the page. */
export const quoted = (text) => h("span", { lang: "en" }, text);

/** Instead of a part that a version did not measure. */
export const unmeasured = () => [h("p", { class: "unmeasured" }, t("model.unmeasured_version"))];

/** What a version does: answers, stands by, lies on the disk. */
export function states(version, answers) {
  if (version.number === answers) return t("model.state.answers");
  if (version.state === "AVAILABLE") return t("model.state.available");
  if (version.state) return t("model.state.other", { state: version.state });
  return t("model.state.disk");
}

/** Names of sources that a row is about: `nav+br35h` are two of them. */
export const sourceName = (source) => source.split("+").join(" + ");
