// What the model is for, what it was made from and how, and its card to take along.

import { p, quoted, states, unmeasured } from "./card_parts.js";
import { codeBlock } from "./code_block.js";
import { h } from "./dom.js";
import { figureTable, twoLines } from "./figure_table.js";
import { language, number, t } from "./texts.js";

/** For what and for what not, and the version's plate. */
export function purpose(card, version, answers) {
  const list = (kind) => h("ul", {}, [1, 2, 3].map((n) => h("li", {}, t(`model.purpose.${kind}.${n}`))));
  const made = card.created ? new Date(card.created).toLocaleDateString(language, { dateStyle: "long", timeZone: "UTC" }) : t("model.unmeasured");
  const facts = [
    [t("model.plate.version"), String(version.number)],
    [t("model.plate.state"), states(version, answers)],
    [t("model.plate.made"), made],
    [t("model.plate.network"), card.network ?? t("model.unmeasured")],
  ];
  return h("div", { class: "purpose" },
    h("dl", { class: "plate" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    card.intended_use ? h("p", { class: "lead" }, quoted(card.intended_use)) : null,
    h("div", { class: "uses" },
      h("div", {}, h("h3", {}, t("model.purpose.for.title")), list("for")),
      h("div", { class: "not" }, h("h3", {}, t("model.purpose.not.title")), list("not"))),
    h("p", {}, h("a", { href: downloadAddress(card), download: `model_card_${version.number}.json` }, t("model.download"))));
}

const downloadAddress = (card) => URL.createObjectURL(new Blob([JSON.stringify(card, null, 2)], { type: "application/json" }));

/** How many scans of which source in which split, and on what terms. */
export function data(card) {
  const counts = card.data?.counts;
  if (!counts) return unmeasured();
  const sources = [...new Set(Object.values(counts).flatMap((split) => Object.keys(split).map((key) => key.split("/")[0])))].sort();
  const count = (split, source) => {
    const of = (label) => counts[split]?.[`${source}/${label}`] ?? 0;
    return twoLines(number(of("tumor") + of("no_tumor")), t("model.data.of_them", { n: number(of("tumor")) }));
  };
  const about = (source) => card.data.sources?.[source] ?? {};
  return [
    p("model.data.what"),
    figureTable({
      caption: t("model.data.caption"),
      head: [t("model.source"), t("model.data.train"), t("model.data.val"), t("model.data.test"), t("model.data.terms")],
      rows: sources.map((source) => [
        twoLines(source, about(source).title ? quoted(about(source).title) : null),
        ...["train", "val", "test"].map((split) => count(split, source)),
        about(source).licence ? quoted(about(source).licence) : t("model.data.see_licence"),
      ]),
      kind: "wide-last",
    }),
    card.licence ? h("p", {}, h("b", {}, t("model.data.licence")), " ", quoted(card.licence)) : null,
  ];
}

/** What the card's author warns of. */
export function limits(card) {
  if (!card.limits?.length) return unmeasured();
  return h("ul", { class: "limits", lang: "en" }, card.limits.map((limit) => h("li", {}, limit)));
}

/** The card's pictures; `pictures` maps names to addresses, or is null. */
export function plots(pictures) {
  if (!pictures) return [p("model.plots.elsewhere")];
  if (!pictures.size) return unmeasured();
  return [
    p("model.plots.what"),
    h("ul", { class: "plots" }, [...pictures].map(([name, address]) => {
      const title = name.replaceAll("_", " ");
      return h("li", {}, h("a", { href: address, target: "_blank", rel: "noopener", "aria-label": t("model.plots.open", { title }) },
        h("img", { src: address, alt: "", loading: "lazy" }), h("span", { lang: "en" }, title)));
    })),
  ];
}

/** Where it came from, to make it again. */
export function origin(card) {
  const libraries = Object.entries(card.libraries ?? {}).map(([name, version]) => `${name} ${version}`).join(", ");
  const facts = [["commit", card.git_commit], ["libraries", libraries], ["data", card.data?.sha256]].filter(([, value]) => value);
  return [
    h("dl", { class: "plate long" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, t(`model.origin.${name}`)), h("dd", {}, h("code", {}, value))))),
    ...(card.reproduce?.length
      ? [p("model.origin.how"), codeBlock(card.reproduce.join("\n"), t("model.origin.commands"))]
      : [h("p", { class: "unmeasured" }, t("model.origin.unknown"))]),
  ];
}
