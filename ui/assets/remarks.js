// What is doubtful about a scan, or was left out in reading it.

import { has, t } from "./texts.js";

/** The sentence of a warning or a note of the API, in the page's language where we have the words. */
export const remark = ({ code, message }) => (has(`warning.${code}`) ? t(`warning.${code}`) : message);
