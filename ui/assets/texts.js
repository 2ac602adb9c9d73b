// The page's words. All of them are in texts/LANGUAGE.json, and nowhere else.

import { keep, kept } from "./preferences.js";

/** The languages by tag, each named in itself. */
export const LANGUAGES = { en: "English", de: "Deutsch" };
const KEY = "language";

function preferred() {
  const wished = [
    new URLSearchParams(location.search).get("lang"),
    kept(KEY),
    ...navigator.languages.map((tag) => tag.slice(0, 2)),
  ];
  return wished.find((tag) => tag in LANGUAGES) ?? "en";
}

export const language = preferred();
document.documentElement.lang = language;
const texts = await (await fetch(new URL(`page/texts/${language}.json`, document.baseURI))).json();

/** A text with its places filled in: `t("risk.spoken", { risk: "low" })`. */
export function t(key, places = {}) {
  const text = texts[key];
  if (text === undefined) throw new Error(`no text for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => places[name]);
}

/** Whether there is such a text. */
export const has = (key) => key in texts;

/** A share as the page writes it: one decimal, and never a certainty, for a calibrated model has none. */
export function percent(share) {
  const shown = Math.min(Math.max(share, 0), 1) * 100;
  if (shown < 0.1) return t("percent.under");
  if (shown > 99.9) return t("percent.over");
  return t("percent", { value: number(shown, 1) });
}

/** A number with so many decimals, written as the language does. */
export function number(value, decimals = 0) {
  return value.toLocaleString(language, { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** Change to another of `LANGUAGES`; the page starts anew, as its words are everywhere. */
export function changeLanguage(tag) {
  keep(KEY, tag);
  const address = new URL(location);
  address.searchParams.set("lang", tag); // also where nothing can be kept
  location.assign(address);
}
